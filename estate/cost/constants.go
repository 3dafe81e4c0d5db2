package cost

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// A Constant is a number of the rules. Its default comes from a source; a file sets another.
type Constant struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	What   string  `json:"what"`
	Source string  `json:"source"`
}

// Where the defaults come from.
const (
	sourceStorage = "Amazon OpenSearch Service, Sizing domains: storage requirements"
	sourceShards  = "Amazon OpenSearch Service, Choosing the number of shards"
	sourceQuotas  = "Amazon OpenSearch Service, quotas"
	sourceDisk    = "OpenSearch, cluster.routing.allocation.disk.watermark"
	sourceHeap    = "OpenSearch, Important settings: heap size"
	sourceCodec   = "AWS and opensearch.org benchmarks of zstd with nyc_taxis (26 to 32 % smaller)"
	sourceKafka   = "Amazon MSK, best practices and the sizing guide of its agent toolkit"
	sourceNaru    = "naru: where a suggestion begins to be worth reading"
)

// The constants by name.
const (
	indexOverhead       = "index_overhead"
	linuxReserve        = "linux_reserve"
	serviceReserve      = "service_reserve"
	serviceReserveMost  = "service_reserve_most_gib"
	diskFull            = "disk_full"
	searchShard         = "search_shard_gib"
	logsShard           = "logs_shard_gib"
	smallShard          = "small_shard_gib"
	shardsPerHeap       = "shards_per_heap_gib"
	shardsPerNode       = "shards_per_node"
	cpuPerShard         = "cpu_per_active_shard"
	activeLeast         = "active_shard_least_gib_a_day"
	heapShare           = "heap_share"
	heapMost            = "heap_most_gib"
	heapFull            = "heap_full"
	ratioCompressed     = "best_compression_ratio"
	ratioZstd           = "zstd_ratio"
	growthDays          = "growth_days"
	horizonDays         = "horizon_days"
	unusedDays          = "unused_days"
	oldDays             = "old_days"
	retentionDays       = "retention_days"
	deletedShare        = "deleted_share"
	leastSaving         = "least_saving_gib"
	brokerHeadroom      = "broker_disk_headroom"
	brokerDisk          = "broker_disk_mib_s"
	brokerNetwork       = "broker_network_mib_s"
	brokerDiskFactor    = "broker_disk_factor"
	brokerNetworkFactor = "broker_network_factor"
	brokerFanOutFactor  = "broker_fan_out_factor"
	brokerUse           = "broker_use"
	brokerPartitions    = "broker_partitions"
	brokerDiskMost      = "broker_disk_most_gib"
	brokerZones         = "broker_zones"
	peakFactor          = "kafka_peak_factor"
	topicReplicas       = "topic_replicas"
)

// defaults are the constants in the order in which they are printed.
func defaults() []Constant {
	return []Constant{
		{indexOverhead, 0.10, "share", "an index is larger than its source by; for estimates, what is measured has it in it", sourceStorage},
		{linuxReserve, 0.05, "share", "of a disk the operating system keeps for itself", sourceStorage},
		{serviceReserve, 0.20, "share", "of a disk a managed service keeps for itself, until service_reserve_most_gib", sourceStorage},
		{serviceReserveMost, 20, "GiB", "of a node's disk a managed service keeps for itself at most", sourceStorage},
		{diskFull, 0.85, "share", "of a self-managed node's disk up to which it takes shards: the low watermark", sourceDisk},
		{searchShard, 30, "GiB", "a shard that is searched has at most; 10 to 30 are usual", sourceShards},
		{logsShard, 50, "GiB", "a shard of logs has at most; 30 to 50 are usual", sourceShards},
		{smallShard, 1, "GiB", "shards below it, on average, are called too many", sourceNaru},
		{shardsPerHeap, 25, "1/GiB", "shards a node has at most for each GiB of its heap", sourceShards},
		{shardsPerNode, 1000, "", "shards a node has at most, where the cluster does not say (cluster.max_shards_per_node)", sourceQuotas},
		{cpuPerShard, 1.5, "vCPU", "for each shard that is written to", sourceShards},
		{activeLeast, 1, "GiB", "a day that a shard takes to count as written to, where growth is known", sourceNaru},
		{heapShare, 0.5, "share", "of a node's memory that is heap", sourceHeap},
		{heapMost, 32, "GiB", "of heap at most", sourceHeap},
		{heapFull, 0.80, "share", "of the heap in use from which a node has too little", sourceHeap},
		{ratioCompressed, 0.75, "share", "of its size that an index has with best_compression; measure it on an index of yours", sourceCodec},
		{ratioZstd, 0.71, "share", "of its size that an index has with zstd; measure it on an index of yours", sourceCodec},
		{growthDays, 14, "days", "over which growth is measured", sourceNaru},
		{horizonDays, 30, "days", "ahead for what grows without an end", sourceNaru},
		{unusedDays, 7, "days", "without a query after which an index is called unused", sourceNaru},
		{oldDays, 30, "days", "after which replicas of logs are called old", sourceNaru},
		{retentionDays, 90, "days", "after which logs that no policy deletes are called kept", sourceNaru},
		{deletedShare, 0.30, "share", "of documents deleted from which merging is worth while", sourceNaru},
		{leastSaving, 1, "GiB", "below which nothing is suggested", sourceNaru},
		{brokerHeadroom, 2.0, "times", "what topics hold, that brokers have disk for", sourceKafka},
		{brokerDisk, 78.75, "MiB/s", "a broker's disk takes (the default is of an m7g.large)", sourceKafka},
		{brokerNetwork, 111, "MiB/s", "a broker's network takes (the default is of an m7g.large)", sourceKafka},
		{brokerDiskFactor, 6.5, "times", "what comes in, that disks move: replicas, and the loss of a zone", sourceKafka},
		{brokerNetworkFactor, 5.7, "times", "what comes in, that networks move without consumers", sourceKafka},
		{brokerFanOutFactor, 1.5, "times", "what consumers read, that networks move", sourceKafka},
		{brokerUse, 0.5, "share", "of what a broker could do that is planned for", sourceKafka},
		{brokerPartitions, 1000, "", "copies of partitions a broker has, as recommended (of a large one)", sourceKafka},
		{brokerDiskMost, 16384, "GiB", "of disk a broker has at most", sourceKafka},
		{brokerZones, 3, "", "zones: brokers are a multiple of them", sourceKafka},
		{peakFactor, 3, "times", "the mean rate of a topic, that its peak is taken for", sourceNaru},
		{topicReplicas, 3, "", "copies of a topic above which there are too many", sourceKafka},
	}
}

// Constants are the numbers of the rules.
type Constants struct {
	values map[string]float64
	file   string // that set some of them
}

// DefaultConstants gives the constants as they are unless told.
func DefaultConstants() *Constants {
	k := &Constants{values: map[string]float64{}}
	for _, c := range defaults() {
		k.values[c.Name] = c.Value
	}
	return k
}

// ReadConstants reads a YAML file with names and values; what it does not name keeps its default. Mistakes are all reported, with
// file and line.
func ReadConstants(file string) (*Constants, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ParseConstants(file, b)
}

// ParseConstants is ReadConstants of what a file holds.
func ParseConstants(file string, b []byte) (*Constants, error) {
	k := DefaultConstants()
	k.file = file
	root, err := document(file, b)
	if err != nil || root == nil {
		return k, err
	}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d:%d: %s", file, name.Line, name.Column, fmt.Sprintf(format, args...)))
		}
		if _, known := k.values[name.Value]; !known {
			fail("there is no constant %q; `naru cost --constants` lists them", name.Value)
			continue
		}
		v, err := strconv.ParseFloat(value.Value, 64)
		switch {
		case value.Kind != yaml.ScalarNode || err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			fail("%s: want a number", name.Value)
		case v < 0 || v == 0 && divisors[name.Value]:
			fail("%s: want a number larger than 0", name.Value)
		case below1[name.Value] && v >= 1:
			fail("%s: want a share, less than 1", name.Value)
		}
		k.values[name.Value] = v
	}
	return k, errors.Join(errs...)
}

// divisors are what is divided by.
var divisors = map[string]bool{
	diskFull: true, searchShard: true, logsShard: true, shardsPerHeap: true, shardsPerNode: true, brokerDiskFactor: true, brokerNetworkFactor: true, brokerUse: true,
	brokerPartitions: true, brokerDiskMost: true, brokerZones: true, brokerDisk: true, brokerNetwork: true, growthDays: true,
}

// below1 are the shares that leave something.
var below1 = map[string]bool{linuxReserve: true, serviceReserve: true}

// document is the mapping that a YAML file is; nil: the file is empty.
func document(file string, b []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want names with values", file, doc.Content[0].Line)
	}
	return doc.Content[0], nil
}

// List gives the constants with their values and sources, in order.
func (k *Constants) List() []Constant {
	all := defaults()
	for i := range all {
		if v := k.values[all[i].Name]; v != all[i].Value {
			all[i].Value, all[i].Source = v, k.file
		}
	}
	return all
}

// of gives a constant.
func (k *Constants) of(name string) float64 {
	v, ok := k.values[name]
	if !ok {
		panic("BUG: no constant " + name)
	}
	return v
}

// bytes gives a constant that is in GiB.
func (k *Constants) bytes(name string) float64 { return k.of(name) * float64(GiB) }
