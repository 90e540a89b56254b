package kafkaio

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var someOwned = map[string][]int32{"lines": {0, 4}, "shuffle": {0}}

// What members tell each other is what franz-go reads, and the other way round, in every version that consumers have.
func TestGroupProtocolFormat(t *testing.T) {
	var said kmsg.ConsumerMemberMetadata
	if err := said.ReadFrom(appendSubscription(nil, []string{"lines", "shuffle"}, Claim{Owned: someOwned, Generation: 7})); err != nil {
		t.Fatal(err)
	}
	want := kmsg.ConsumerMemberMetadata{Version: 2, Topics: []string{"lines", "shuffle"}, Generation: 7, OwnedPartitions: []kmsg.ConsumerMemberMetadataOwnedPartition{
		{Topic: "lines", Partitions: []int32{0, 4}}, {Topic: "shuffle", Partitions: []int32{0}}}}
	if !reflect.DeepEqual(said, want) {
		t.Errorf("subscription %+v, want %+v", said, want)
	}
	for version, want := range []Claim{{Generation: -1}, {Owned: someOwned, Generation: -1}, {Owned: someOwned, Generation: 7}, {Owned: someOwned, Generation: 7}} {
		said.Version, said.UserData = int16(version), []byte("user data")
		if got, err := parseSubscription(said.AppendTo(nil)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: %+v, %v, want %+v", version, got, err, want)
		}
	}
	var given kmsg.ConsumerMemberAssignment
	if err := given.ReadFrom(appendAssignment(nil, someOwned)); err != nil || len(given.Topics) != 2 || given.Topics[0].Topic != "lines" {
		t.Errorf("assignment %+v, %v", given, err)
	}
	given.Version, given.UserData = 1, []byte("user data")
	if got, err := parseAssignment(given.AppendTo(nil)); err != nil || !reflect.DeepEqual(got, someOwned) {
		t.Errorf("assignment %v, %v", got, err)
	}
	if got, err := parseAssignment(nil); err != nil || len(got) > 0 {
		t.Errorf("no assignment: %v, %v", got, err)
	}
	whole := appendSubscription(nil, []string{"lines"}, Claim{Owned: someOwned, Generation: 7})
	for n := range whole {
		if _, err := parseSubscription(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a subscription", n, len(whole))
		}
	}
}

// FuzzGroupProtocol reads what anybody may say: no panic.
func FuzzGroupProtocol(f *testing.F) {
	f.Add(appendSubscription(nil, []string{"lines"}, Claim{Owned: someOwned, Generation: 7}))
	f.Add(appendAssignment(nil, someOwned))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseSubscription(b)
		parseAssignment(b)
	})
}
