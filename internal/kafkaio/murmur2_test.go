package kafkaio

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/segmentio/kafka-go"
)

func TestPartitionIsKafkas(t *testing.T) {
	// org.apache.kafka.common.utils.UtilsTest.testMurmur2
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}

	const partitions = 7
	numbers := make([]int, partitions)
	for i := range numbers {
		numbers[i] = i
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		key := make([]byte, n%41)
		for i := range key {
			key[i] = byte(random.Uint32())
		}
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, numbers...)
		if got := Partition(key, partitions); int(got) != want {
			t.Fatalf("Partition(%x) = %d, kafka-go has %d", key, got, want)
		}
	}
}

// What stands behind a key, and how much, is of no matter.
func TestMurmur2OfShortKeys(t *testing.T) {
	text := []byte("\xff\x80 sixteen bytes and some more of them")
	for n := range 20 {
		for capacity := n; capacity < len(text); capacity++ {
			if got, want := murmur2(text[:n:capacity]), murmur2(bytes.Clone(text[:n])[:n:n]); got != want {
				t.Fatalf("%q with a capacity of %d: %d, want %d", text[:n], capacity, got, want)
			}
		}
	}
}

func TestShortPartition(t *testing.T) {
	for _, text := range []string{"\xff\x80 sixteen bytes", "another sixteen.", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		for n := range uint32(shortKey) {
			for _, partitions := range []int{1, 4, 7, 1000} {
				if got, want := ShortPartition((*[shortKey]byte)([]byte(text)), n, partitions), Partition([]byte(text)[:n:n], partitions); got != want {
					t.Errorf("%d bytes of %q, %d partitions: %d, want %d", n, text, partitions, got, want)
				}
			}
		}
	}
}

func BenchmarkPartition(b *testing.B) {
	text := bytes.Repeat([]byte("words"), 10)
	random := rand.New(rand.NewPCG(1, 2))
	lengths := make([]int, 1<<18) // more than the processor learns
	for i := range lengths {
		lengths[i] = random.IntN(14)
	}
	for i := 0; b.Loop(); i++ {
		Partition(text[:lengths[i%len(lengths)]], 4)
	}
}
