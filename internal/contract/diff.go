package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff tells what changed from one version of some actions to another. Those of
// one id are compared; what has no counterpart was added or removed. It is
// empty where Hash is the same for all.
func Diff(before, after []Contract) []Change {
	old, now := byAction(before), byAction(after)
	var changes []Change
	budget := newBudget()
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if next, ok := now[id]; ok {
			changes = append(changes, budget.diff(old[id], next)...)
			continue
		}
		changes = append(changes, Change{Action: id, Code: ActionRemoved, Breaking: true, Message: "action is gone", Hint: successor(old[id], old, now)})
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, ok := old[id]; !ok {
			changes = append(changes, Change{Action: id, Code: ActionAdded, Message: "action is new: " + now[id].Operation})
		}
	}
	return arrange(changes)
}

func byAction(contracts []Contract) map[string]Contract {
	out := make(map[string]Contract, len(contracts))
	for _, c := range contracts {
		out[c.Action] = c
	}
	return out
}

// successor names the action, a new one if there is any, that does what one did
// that is gone.
func successor(gone Contract, old, now map[string]Contract) string {
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, known := old[id]; !known && now[id].Operation == gone.Operation {
			return fmt.Sprintf("%s is done by the new action %s", gone.Operation, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if now[id].Operation == gone.Operation {
			return fmt.Sprintf("%s is still done by the action %s", gone.Operation, id)
		}
	}
	return ""
}

// diff compares two versions of one action.
func (b *budget) diff(old, now Contract) (changes []Change) {
	if old.Title != now.Title {
		changes = append(changes, Change{Code: TitleChanged, Where: "title", Message: "title: " + wordDiff(old.Title, now.Title)})
	}
	if old.Description != now.Description {
		changes = append(changes, Change{Code: DescriptionChanged, Where: "description", Message: "description: " + wordDiff(old.Description, now.Description)})
	}
	if old.Operation != now.Operation {
		changes = append(changes, Change{Code: OperationChanged, Where: "operation", Breaking: true, Message: fmt.Sprintf("a call was %s, is %s", old.Operation, now.Operation)})
	}
	switch {
	case now.Deprecated && !old.Deprecated:
		changes = append(changes, Change{Code: Deprecated, Where: "deprecated", Message: "action is deprecated"})
	case old.Deprecated && !now.Deprecated:
		changes = append(changes, Change{Code: Undeprecated, Where: "deprecated", Message: "action is no longer deprecated"})
	}
	changes = append(changes, attributes(old, now)...)
	changes = append(changes, b.schemas(input, old.Input, now.Input)...)
	changes = append(changes, b.outputs(old, now)...)
	for i := range changes {
		changes[i].Action = now.Action
	}
	return changes
}

// attributes compares how careful a caller has to be.
func attributes(old, now Contract) (changes []Change) {
	for _, a := range []struct {
		name     string
		old, now bool
		careless bool // the value that needs less care
	}{
		{"readOnly", old.Attributes.ReadOnly, now.Attributes.ReadOnly, true},
		{"destructive", old.Attributes.Destructive, now.Attributes.Destructive, false},
		{"idempotent", old.Attributes.Idempotent, now.Attributes.Idempotent, true},
		{"openWorld", old.Attributes.OpenWorld, now.Attributes.OpenWorld, false},
	} {
		if a.old == a.now {
			continue
		}
		c := Change{Code: LessDangerous, Where: "attributes." + a.name, Message: fmt.Sprintf("%s was %t, is %t", a.name, a.old, a.now)}
		if a.now != a.careless {
			c.Code, c.Breaking = MoreDangerous, true
		}
		changes = append(changes, c)
	}
	return changes
}

// outputs compares what is promised of results.
func (b *budget) outputs(old, now Contract) []Change {
	switch {
	case old.Output == nil && now.Output == nil:
		return nil
	case old.Output == nil:
		return []Change{{Code: OutputAdded, Where: "output", Message: "what the result is was not said, and is now"}}
	case now.Output == nil:
		return []Change{{Code: OutputRemoved, Where: "output", Breaking: true, Message: "what the result is, is no longer said"}}
	}
	return b.schemas(output, old.Output, now.Output)
}

// wordDiff shows what was put in the place of what: […] is gone, {…} is new. It
// is one piece, from the first word that differs to the last.
func wordDiff(old, now string) string {
	const around = 4 // words shown on both sides
	a, b := strings.Fields(old), strings.Fields(now)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	if head == len(a) && head == len(b) {
		return "only white space differs"
	}
	var out []string
	if head > around {
		out = append(out, "…")
	}
	out = append(out, a[max(0, head-around):head]...)
	if gone := a[head : len(a)-tail]; len(gone) > 0 {
		out = append(out, "[-"+strings.Join(gone, " ")+"-]")
	}
	if fresh := b[head : len(b)-tail]; len(fresh) > 0 {
		out = append(out, "{+"+strings.Join(fresh, " ")+"+}")
	}
	out = append(out, a[len(a)-tail:len(a)-tail+min(tail, around)]...)
	if tail > around {
		out = append(out, "…")
	}
	return strings.Join(out, " ")
}
