package operator

import (
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/narudata/naru/operator/v1alpha1"
)

// An outcome is what a look at an object came to, and when it is to be looked at again.
type outcome struct {
	state   state
	reason  string // CamelCase, of few values
	message string // for people, without secrets
	again   time.Duration
}

// state is one of kstatus's, and waiting: for a person who has to approve.
type state int

const (
	ready state = iota
	progressing
	waiting
	suspended
	stalled
)

// Reasons that several kinds have.
const (
	reasonAwaitingApproval = "AwaitingApproval" // health.lua knows it
	reasonSuspended        = "Suspended"
)

// longestMessage is below what a condition may hold, and still more than anybody reads.
const longestMessage = 4096

// write makes the three conditions of kstatus say the outcome.
func (o *outcome) write(conditions *[]metav1.Condition, generation int64) {
	set := func(name string, holds bool) {
		status := metav1.ConditionFalse
		if holds {
			status = metav1.ConditionTrue
		}
		setCondition(conditions, generation, name, status, o.reason, o.message)
	}
	set(v1alpha1.Ready, o.state == ready)
	set(v1alpha1.Reconciling, o.state == progressing)
	set(v1alpha1.Stalled, o.state == stalled)
}

// setCondition sets one condition; its time changes only with its status.
func setCondition(conditions *[]metav1.Condition, generation int64, name string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: name, Status: status, Reason: reason, Message: shortened(message, longestMessage), ObservedGeneration: generation,
	})
}

// holds reports that a condition is True.
func holds(conditions []metav1.Condition, name string) bool {
	return meta.IsStatusConditionTrue(conditions, name)
}

// shortened cuts a text to n bytes, between characters.
func shortened(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
