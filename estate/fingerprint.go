package estate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Fingerprint names what a plan does. Two plans that do the same to the same objects in the same state have the same one, whenever
// and of whichever commit they were made; so it is what somebody approves who approves a plan that is made again and again.
func (p *Plan) Fingerprint() string {
	type change struct {
		Key
		Action   Action          `json:"action"`
		Body     json.RawMessage `json:"body,omitempty"`
		Declared json.RawMessage `json:"declared,omitempty"`
		Hash     string          `json:"hash"`
		SeqNo    int64           `json:"seq_no,omitempty"`
		Problem  string          `json:"problem,omitempty"`
	}
	changes := make([]change, len(p.Changes))
	for i := range p.Changes {
		ch := &p.Changes[i]
		changes[i] = change{ch.Key, ch.Action, ch.Body, ch.Declared, ch.Before.Hash, ch.Before.SeqNo, ch.Problem}
	}
	sum := sha256.Sum256(text([]any{p.Estate, p.Environment, p.Cluster.UUID, p.What, p.Undoes, changes}))
	return hex.EncodeToString(sum[:6])
}
