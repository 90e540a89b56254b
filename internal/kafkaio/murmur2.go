package kafkaio

import "encoding/binary"

// Partition returns the partition that Kafka's default partitioner gives a record with this key
// (org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey).
func Partition(key []byte, partitions int) int32 {
	return int32(uint32(murmur2(key)&0x7fffffff) % uint32(partitions))
}

// murmur2 is org.apache.kafka.common.utils.Utils.murmur2: MurmurHash2, 32 bits, seed 0x9747b28c.
func murmur2(data []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for len(data) >= 4 {
		k := binary.LittleEndian.Uint32(data) * m
		k ^= k >> r
		h = h*m ^ k*m
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
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
