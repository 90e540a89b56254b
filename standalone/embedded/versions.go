package embedded

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// versions is what the broker says it speaks: Kafka 4.3, less the requests that
// kfake answers in a way that Kafka 4.3's tools cannot use.
func versions() *kversion.Versions {
	v := kversion.V4_3_0()
	v.SetMaxKeyVersion(int16(kmsg.DescribeTopicPartitions), -1)
	v.SetMaxKeyVersion(int16(kmsg.CreateTopics), 4)
	v.SetMaxKeyVersion(int16(kmsg.ListGroups), 4)
	// From the next versions on topics are named by id only, and append times and open offsets are kept by name.
	v.SetMaxKeyVersion(int16(kmsg.Produce), 12)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	return v
}
