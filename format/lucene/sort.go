package lucene

// IndexSort is how the documents of a segment are sorted.
type IndexSort struct {
	Fields    int      // sort fields; 0: not sorted
	Providers []string // their kinds, by the names of SortFieldProvider; nil before Lucene 8.6, which named none
	Err       error    // why not all could be read: an unknown provider, the last in Providers, or damage
}

// indexSort decodes an index sort, with which a .si file ends. Layout (Lucene62SegmentInfoFormat, Lucene70…):
//
//	vInt n × { string field; vInt type (0 string, 1 long, 2 int, 3 double, 4 float, 5 sorted set, 6 sorted numeric)
//	           [5: byte selector]; [6: byte type (0 long, 1 int, 2 double, 3 float), byte selector]
//	           byte not reversed; byte has missing value, with numbers 1 → long or int }
//
// and from Lucene 8.6 on (named; Lucene86SegmentInfoFormat, Lucene90…, Lucene99…, and the class Provider within the
// class of that name in org.apache.lucene.search):
//
//	vInt n × { string provider
//	           SortField:              string field; string type; int reversed; int has missing value, 1 → of the type
//	           SortedNumericSortField: string field; string type; int reversed; int selector; int as above
//	           SortedSetSortField:     string field; int reversed; int selector; int missing value
//	           BinarySortField:        string field; int reversed; int missing value }
//
// A missing value has 8 bytes for LONG and DOUBLE, 4 for INT, FLOAT and STRING.
func (in *input) indexSort(named bool) IndexSort {
	n := in.count(3)
	s := IndexSort{Fields: n}
	for range n {
		if in.err != nil {
			break
		}
		if !named {
			in.sortField()
			continue
		}
		provider := in.string()
		if in.err == nil {
			s.Providers = append(s.Providers, provider)
		}
		in.namedSortField(provider)
	}
	if in.err == nil && in.left() > 0 {
		in.fail(corruptf("%d bytes more than expected", in.left()))
	}
	s.Err = in.err
	return s
}

func (in *input) sortField() {
	in.string()
	kind := in.vint()
	switch kind {
	case 0, 1, 2, 3, 4:
	case 5:
		in.byte()
		kind = 0
	case 6:
		kind = 1 + int(in.byte())
		in.byte()
	default:
		in.fail(corruptf("sort field of kind %d before %d", kind, in.p))
	}
	in.byte()
	if in.byte() == 0 {
		return
	}
	switch kind {
	case 0:
	case 1, 3:
		in.take(8)
	case 2, 4:
		in.take(4)
	default:
		in.fail(corruptf("sort field with missing values of kind %d before %d", kind, in.p))
	}
}

func (in *input) namedSortField(provider string) {
	switch provider {
	case "SortField", "SortedNumericSortField":
		in.string()
		kind := in.string()
		in.i32()
		if provider == "SortedNumericSortField" {
			in.i32()
		}
		if in.i32() != 1 {
			return
		}
		switch kind {
		case "LONG", "DOUBLE":
			in.take(8)
		case "INT", "FLOAT", "STRING":
			in.take(4)
		default:
			in.fail(corruptf("sort field with missing values of kind %q before %d", kind, in.p))
		}
	case "SortedSetSortField":
		in.string()
		in.take(12)
	case "BinarySortField":
		in.string()
		in.take(8)
	default:
		if in.err == nil {
			in.fail(unsupportedf("sort field of kind %q", provider))
		}
	}
}
