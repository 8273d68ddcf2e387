package lint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// Tools is what a model will see of a document's actions.
type Tools struct {
	// Score is the mean of the tools' scores, 100 when there is none.
	Score int `json:"score"`
	// Bytes are those of names, descriptions and input schemas as JSON, which is
	// what clients put before a model. Tokens estimates what a model counts.
	Bytes  int `json:"bytes"`
	Tokens int `json:"tokens"`
	// Worst are the ten tools with the lowest scores; none has 100.
	Worst []Tool `json:"worst"`
}

// Tool is an action as a model will see it.
type Tool struct {
	Name      string `json:"name"`
	Operation string `json:"operation"`
	// Score is the sum of five marks of up to 20: there is a description; there
	// is one of each argument (in part: of some); the description is not nearly
	// that of another action; neither is the name; the input schema has up to
	// 2 KB (in part: 2 KB divided by what it has).
	Score  int      `json:"score"`
	Bytes  int      `json:"bytes"`
	Tokens int      `json:"tokens"`
	Why    []string `json:"why"`
}

const (
	mark        = 20
	largeSchema = 2048
	worstTools  = 10
)

// tokens estimates what a model counts. The tools of 32 real documents have
// 3.7 to 5.0 bytes a token (large documents 4.2 to 4.9) as OpenAI's o200k_base
// and cl100k_base count, so this is within 15% of those. Other models, and text
// that is not English, have more tokens.
func tokens(bytes int) int { return bytes * 10 / 44 }

// judge scores a document's actions and gives advice on them.
func (l *Linter) judge(doc *openapi.Document) (Tools, []openapi.Finding) {
	all := Tools{Score: 100, Worst: []Tool{}}
	var advice []openapi.Finding
	names, total := newNames(), 0
	for i := range doc.Actions {
		a := &doc.Actions[i]
		j := judgement{action: a, tool: Tool{Name: a.Name, Operation: a.Operation, Bytes: listedBytes(a)}}
		j.tool.Tokens = tokens(j.tool.Bytes)
		j.described()
		j.arguments()
		j.likeOther("description", l.descriptions.add(a))
		j.likeOther("name", names.add(a))
		j.size()
		advice = append(advice, j.advice...)
		total += j.tool.Score
		all.Bytes += j.tool.Bytes
		if j.tool.Score < 5*mark {
			all.Worst = append(all.Worst, j.tool)
		}
	}
	all.Tokens = tokens(all.Bytes)
	if n := len(doc.Actions); n > 0 {
		all.Score = total / n
	}
	slices.SortStableFunc(all.Worst, func(a, b Tool) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(b.Bytes, a.Bytes))
	})
	all.Worst = slices.Clone(all.Worst[:min(len(all.Worst), worstTools)])
	return all, advice
}

// listedBytes is the length of a tool as {"name","description","inputSchema"}.
func listedBytes(a *openapi.Action) int {
	description, _ := json.Marshal(a.Description) // of a string: no error
	return len(`{"name":"","description":,"inputSchema":}`) + len(a.Name) + len(description) + len(a.InputSchema)
}

// judgement gathers the marks of one tool.
type judgement struct {
	action *openapi.Action
	tool   Tool
	advice []openapi.Finding
}

// give adds a mark, and says why it is not the whole one.
func (j *judgement) give(points int, why string) {
	j.tool.Score += points
	if points < mark {
		j.tool.Why = append(j.tool.Why, why)
	}
}

func (j *judgement) advise(f openapi.Finding) {
	f.Operation, f.Location = j.action.Operation, j.action.Location
	j.advice = append(j.advice, f)
}

// described needs no advice: the reader says description-missing.
func (j *judgement) described() {
	if j.action.Description == "" {
		j.give(0, "no description")
		return
	}
	j.give(mark, "")
}

func (j *judgement) arguments() {
	all, silent := arguments(j.action.InputSchema)
	if len(silent) == 0 {
		j.give(mark, "")
		return
	}
	why := fmt.Sprintf("%d of %d arguments undescribed", len(silent), all)
	j.give(min(mark*(all-len(silent))/all, mark-1), why)
	shown := silent[:min(len(silent), 8)]
	list := strings.Join(shown, ", ")
	if more := len(silent) - len(shown); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	j.advise(openapi.Finding{
		Severity: openapi.SeverityInfo, Code: "argument-undescribed",
		Message: fmt.Sprintf("action %s has arguments without a description: %s", j.action.Name, list),
		Hint:    "describe the parameter or property, or the argument in x-action.input",
	})
}

// arguments counts the arguments of an input schema and names those that
// neither have a description nor refer to a definition that has one.
func arguments(schema json.RawMessage) (all int, silent []string) {
	type described struct {
		Description string `json:"description"`
		Ref         string `json:"$ref"`
	}
	var root struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Defs       map[string]json.RawMessage `json:"$defs"`
	}
	if json.Unmarshal(schema, &root) != nil {
		return 0, nil
	}
	for _, name := range slices.Sorted(maps.Keys(root.Properties)) {
		var own, definition described
		_ = json.Unmarshal(root.Properties[name], &own) // true is a schema too, and says nothing
		if definitionName, ok := strings.CutPrefix(own.Ref, "#/$defs/"); ok {
			_ = json.Unmarshal(root.Defs[definitionName], &definition)
		}
		if own.Description == "" && definition.Description == "" {
			silent = append(silent, name)
		}
	}
	return len(root.Properties), silent
}

// likeOther takes a mark where the tool's name or description is nearly that of
// an earlier one. That says it once: mending either is enough.
func (j *judgement) likeOther(what string, other *seen) {
	if other == nil {
		j.give(mark, "")
		return
	}
	j.give(0, fmt.Sprintf("%s like that of %s", what, other.name))
	message := fmt.Sprintf("%s of action %s is nearly that of %s (%s", what, j.action.Name, other.name, other.operation)
	if other.file != j.action.Location.File {
		message += " in " + other.file
	}
	message += ")" // without a line, so that the finding stays the same when lines move
	if what == "name" {
		j.advise(openapi.Finding{
			Severity: openapi.SeverityInfo, Code: "name-similar", Message: message,
			Hint: "a model mistakes one for the other; say the difference in x-action.name",
		})
		return
	}
	j.advise(openapi.Finding{
		Severity: openapi.SeverityInfo, Code: "description-similar", Message: message,
		Hint: "say first what sets it apart",
	})
}

func (j *judgement) size() {
	bytes := len(j.action.InputSchema)
	if bytes <= largeSchema {
		j.give(mark, "")
		return
	}
	j.give(mark*largeSchema/bytes, fmt.Sprintf("input schema of %d bytes", bytes))
	j.advise(openapi.Finding{
		Severity: openapi.SeverityInfo, Code: "schema-large",
		Message: fmt.Sprintf("input schema of action %s has %d bytes, about %d tokens", j.action.Name, bytes, tokens(bytes)),
		Hint:    "hide arguments, or show only some of the body, in x-action.input",
	})
}
