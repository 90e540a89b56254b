// Package window numbers the batches: window k of interval I is [k·I, (k+1)·I), aligned to the Unix epoch, as in Spark
// Streaming (org.apache.spark.streaming.Time.floor) and Flink's tumbling windows. All times are ms since the epoch.
package window

// Interval is the length of a window in ms, ≥ 1.
type Interval int64

// Of returns the number of the window that contains t. Times before the epoch are in windows of negative numbers.
func (i Interval) Of(t int64) int64 {
	k := t / int64(i)
	if t%int64(i) < 0 {
		k--
	}
	return k
}

// Start returns the first ms of window k.
func (i Interval) Start(k int64) int64 { return k * int64(i) }

// End returns the first ms after window k, by which a batch is labelled.
func (i Interval) End(k int64) int64 { return (k + 1) * int64(i) }

// Floor returns the start of the window that contains t.
func (i Interval) Floor(t int64) int64 { return i.Start(i.Of(t)) }
