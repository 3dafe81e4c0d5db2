package cost

// What tests look at.
var FamilyOf = familyOf

// Declared gives objects of bodies.
func Declared(bodies map[string]map[string]map[string]any) *Objects {
	o := newObjects()
	for kind, all := range bodies {
		for name, body := range all {
			o.Set(kind, name, body)
		}
	}
	return o
}

// LifeOf is what objects make of the indices of a family.
func LifeOf(o *Objects, index string) Life { return o.life(index) }

// FamiliesOf groups the indices of facts.
func FamiliesOf(f *Facts) []*Family { return f.families(DefaultConstants()) }
