package kafka

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A Codec is how batches of records are compressed. Brokers keep what producers send, so every consumer of a topic must know
// the codecs that are written to it.
type Codec string

// The codecs, from none on by how widely they are read.
const (
	CodecNone   Codec = "none"
	CodecGzip   Codec = "gzip"
	CodecSnappy Codec = "snappy"
	CodecLZ4    Codec = "lz4"
	CodecZstd   Codec = "zstd"
)

// Codecs are all that there are.
var Codecs = []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLZ4, CodecZstd}

// UnmarshalText reads a codec's name.
func (c *Codec) UnmarshalText(text []byte) error {
	for _, known := range Codecs {
		if string(text) == string(known) {
			*c = known
			return nil
		}
	}
	return fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", text)
}

// codec gives the client's.
func (c Codec) codec() (kgo.CompressionCodec, error) {
	switch c {
	case "", CodecNone:
		return kgo.NoCompression(), nil
	case CodecGzip:
		return kgo.GzipCompression(), nil
	case CodecSnappy:
		return kgo.SnappyCompression(), nil
	case CodecLZ4:
		return kgo.Lz4Compression(), nil
	case CodecZstd:
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", string(c))
}

// Unread says why a consumer that is written with a client library may not be able to read c; "" if it is. The libraries are
// called as they call themselves to brokers, or by their name: kafkajs, librdkafka, sarama, kgo, apache-kafka-java,
// kafka-python, aiokafka, segmentio.
func (c Codec) Unread(library string) string {
	if c == "" || c == CodecNone || c == CodecGzip {
		return ""
	}
	switch l := strings.ToLower(library); {
	case l == "kafkajs":
		return fmt.Sprintf("KafkaJS reads gzip only; for %s the program must have registered a codec, and without one its consumer stops for good", c)
	case c == CodecZstd && l == "sarama":
		return "sarama reads zstd from version 1.21 on"
	case c == CodecZstd && (l == "librdkafka" || strings.HasPrefix(l, "confluent")):
		return "librdkafka reads zstd from version 1.0 on, if it was built with it"
	case l == "kafka-python" || l == "aiokafka":
		return fmt.Sprintf("%s reads %s only where Python's package for it is installed", library, c)
	}
	return ""
}
