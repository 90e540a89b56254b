package kafkaio

import "encoding/binary"

// Partition returns the partition that Kafka's default partitioner gives a record with this key
// (org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey).
func Partition(key []byte, partitions int) int32 {
	return int32(uint32(murmur2(key)&0x7fffffff) % uint32(partitions))
}

// ShortPartition is Partition of the first n bytes of key, fewer than it has. What stands behind them does not matter.
func ShortPartition(key *[shortKey]byte, n uint32, partitions int) int32 {
	return int32(murmur2Short(key, n) & 0x7fffffff % uint32(partitions))
}

// The constants of murmur2.
const murmurM, murmurR, murmurSeed = 0x5bd1e995, 24, 0x9747b28c

// murmur2 is org.apache.kafka.common.utils.Utils.murmur2: MurmurHash2, 32 bits, seed 0x9747b28c.
func murmur2(data []byte) uint32 {
	if len(data) < shortKey && cap(data) >= shortKey {
		return murmur2Short((*[shortKey]byte)(data[:shortKey]), uint32(len(data)))
	}
	h := murmurSeed ^ uint32(len(data))
	for len(data) >= 4 {
		h = h*murmurM ^ murmurMix(binary.LittleEndian.Uint32(data))
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= murmurM
	}
	return murmurEnd(h)
}

const shortKey = 16

// murmur2Short is murmur2 of the first n < 16 bytes, whatever follows them. Keys of all lengths take the same way through the processor:
// what is too much is computed and not taken.
func murmur2Short(data *[shortKey]byte, n uint32) uint32 {
	h := murmurSeed ^ n
	if with := h*murmurM ^ murmurMix(binary.LittleEndian.Uint32(data[0:])); n >= 4 {
		h = with
	}
	if with := h*murmurM ^ murmurMix(binary.LittleEndian.Uint32(data[4:])); n >= 8 {
		h = with
	}
	if with := h*murmurM ^ murmurMix(binary.LittleEndian.Uint32(data[8:])); n >= 12 {
		h = with
	}
	at, left := n&(shortKey-4), n%4
	rest := binary.LittleEndian.Uint32(data[at:at+4]) & (1<<(8*left) - 1)
	if with := (h ^ rest) * murmurM; left > 0 {
		h = with
	}
	return murmurEnd(h)
}

func murmurMix(k uint32) uint32 {
	k *= murmurM
	return (k ^ k>>murmurR) * murmurM
}

func murmurEnd(h uint32) uint32 {
	h = (h ^ h>>13) * murmurM
	return h ^ h>>15
}
