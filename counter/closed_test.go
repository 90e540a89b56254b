package counter

import "testing"

// A clock that is behind the broker's does not make a window closed before it ended.
func TestClosedAt(t *testing.T) {
	for _, c := range []struct {
		createTime     bool
		now, end, want int64
	}{
		{false, 1300, 1000, 1300},
		{false, 965, 1000, 1000},
		{true, 965, 1000, 965},
	} {
		task := &reduceTask{task: task{job: &job{createTime: c.createTime}}}
		if got := task.closedAt(c.end, c.now); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
