package estate

import "testing"

func TestAFingerprintIsOfWhatAPlanDoesNotOfWhenItWasMade(t *testing.T) {
	p := Plan{Estate: "shop", Environment: "prod", ID: "1", Changes: []Change{{Key: Key{IngestPipelines, "web"}, Action: Update, Body: []byte(`{"a":1}`), Before: Seen{Hash: "x"}}}}
	same := p
	same.ID, same.Commit, same.Notes = "2", Commit{ID: "abc"}, []string{"later"}
	if p.Fingerprint() != same.Fingerprint() {
		t.Error("another commit makes another fingerprint")
	}
	for what, change := range map[string]func(*Change){
		"another body":   func(c *Change) { c.Body = []byte(`{"a":2}`) },
		"another state":  func(c *Change) { c.Before.Hash = "y" },
		"another action": func(c *Change) { c.Action = Delete },
		"another object": func(c *Change) { c.Name = "api" },
	} {
		other := p
		other.Changes = []Change{p.Changes[0]}
		change(&other.Changes[0])
		if p.Fingerprint() == other.Fingerprint() {
			t.Errorf("%s has the same fingerprint", what)
		}
	}
	empty := Plan{Estate: "shop", Environment: "dev"}
	if empty.Fingerprint() == (&Plan{Estate: "shop", Environment: "prod"}).Fingerprint() {
		t.Error("two environments have the same fingerprint")
	}
}
