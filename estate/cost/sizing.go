package cost

import (
	"fmt"
	"math"
)

// Need is what a cluster needs to hold something, and why.
type Need struct {
	Disk    Bytes    `json:"disk"` // of all data nodes together, with what is kept free
	DiskHow string   `json:"disk_how"`
	Nodes   int      `json:"nodes"` // with data
	Parts   []Reason `json:"parts"` // of which the largest decides
	By      string   `json:"by"`    // the part that does
}

// Disk is how large the disks of n nodes together are to be for copies of that size. A managed service keeps a fifth of each disk
// for itself, and no more than 20 GiB of each; a self-managed node takes shards up to its low watermark.
func Disk(copies Bytes, n int, managed bool, k *Constants) (Bytes, string) {
	linux := 1 - k.of(linuxReserve)
	if !managed {
		return Bytes(float64(copies) / linux / k.of(diskFull)), fmt.Sprintf("%s / (1 − %g of the system) / %g to the low watermark", copies, k.of(linuxReserve), k.of(diskFull))
	}
	raw := float64(copies) / linux
	share, most := k.of(serviceReserve), k.bytes(serviceReserveMost)
	whole := raw / (1 - share)
	if share*whole/float64(max(1, n)) <= most {
		return Bytes(whole), fmt.Sprintf("%s / (1 − %g of the system) / (1 − %g of the service)", copies, k.of(linuxReserve), share)
	}
	return Bytes(raw + most*float64(n)), fmt.Sprintf("%s / (1 − %g of the system) + %d nodes × %g GiB of the service", copies, k.of(linuxReserve), n, k.of(serviceReserveMost))
}

// Source is how large the copies of an index get that is made of so much source, which is not indexed yet.
func Source(source Bytes, replicas int, k *Constants) Bytes {
	return Bytes(float64(source) * float64(1+replicas) * (1 + k.of(indexOverhead)))
}

// Primaries is how many primary shards hold so much, with a tenth to grow. logs: they are written once and searched by time.
func Primaries(primary Bytes, logs bool, k *Constants) int {
	target := k.bytes(searchShard)
	if logs {
		target = k.bytes(logsShard)
	}
	return max(1, int(math.Ceil(float64(primary)*(1+k.of(indexOverhead))/target)))
}

// A shape is what nodes are like, on average.
type shape struct {
	disk, heap float64
	cpus       float64
	nodes      int
	managers   int // dedicated
	known      bool
}

func (f *Facts) shape(k *Constants) shape {
	s := shape{known: true}
	for _, n := range f.Nodes {
		if !n.Data {
			if n.Manager {
				s.managers++
			}
			continue
		}
		s.nodes++
		heap := float64(n.Heap)
		if heap == 0 {
			heap = min(float64(n.Memory)*k.of(heapShare), k.bytes(heapMost))
		}
		s.disk, s.heap, s.cpus = s.disk+float64(n.Disk), s.heap+heap, s.cpus+float64(n.CPUs)
		s.known = s.known && n.Disk > 0 && heap > 0 && n.CPUs > 0
	}
	if s.nodes > 0 {
		each := float64(s.nodes)
		s.disk, s.heap, s.cpus = s.disk/each, s.heap/each, s.cpus/each
	}
	return s
}

// need sizes the cluster for t with nodes of the shape that it has.
func (f *Facts) need(t *Totals, k *Constants) Need {
	s := f.shape(k)
	n := Need{}
	add := func(what string, v float64, format string, args ...any) {
		n.Parts = append(n.Parts, Reason{what, v, fmt.Sprintf(format, args...)})
	}
	if s.disk > 0 {
		linux := 1 - k.of(linuxReserve)
		usable := s.disk * linux * k.of(diskFull)
		how := fmt.Sprintf("%s a node × (1 − %g) × %g", Bytes(s.disk), k.of(linuxReserve), k.of(diskFull))
		if f.Managed {
			usable = (s.disk - min(s.disk*k.of(serviceReserve), k.bytes(serviceReserveMost))) * linux
			how = fmt.Sprintf("(%s a node − min(%g, %g GiB)) × (1 − %g)", Bytes(s.disk), k.of(serviceReserve), k.of(serviceReserveMost), k.of(linuxReserve))
		}
		add("disk", float64(t.Copies)/usable, "%s / (%s = %s)", t.Copies, how, Bytes(usable))
	}
	if s.heap > 0 {
		most := k.of(shardsPerHeap) * s.heap / float64(GiB)
		add("heap", float64(t.Shards)/most, "%d shards / (%g for each GiB × %s of heap = %.1f a node)", t.Shards, k.of(shardsPerHeap), Bytes(s.heap), most)
	}
	limit := k.of(shardsPerNode)
	if f.MaxShards > 0 {
		limit = float64(f.MaxShards)
	}
	add("count", float64(t.Shards)/limit, "%d shards / %g a node", t.Shards, limit)
	if s.cpus > 0 {
		add("cpu", float64(t.Active)*k.of(cpuPerShard)/s.cpus, "%d shards that are written to × %g vCPU / %.3g vCPU a node", t.Active, k.of(cpuPerShard), s.cpus)
	}
	add("copies", float64(t.MostCopies), "%d copies of a shard, each on a node of its own", t.MostCopies)
	most := 0.0
	for _, p := range n.Parts {
		if p.Need > most {
			most, n.By = p.Need, p.What
		}
	}
	n.Nodes = max(1, int(math.Ceil(most-1e-9)))
	n.Disk, n.DiskHow = Disk(t.Copies, n.Nodes, f.Managed, k)
	return n
}
