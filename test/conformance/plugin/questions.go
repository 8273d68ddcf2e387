package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// round is one call of an operation that asks back: the first has arguments
// alone, the later ones what the client answered, and the state that the one
// before gave.
type round struct {
	Message      string                     `json:"message"`
	Prompt       string                     `json:"prompt"`
	Responses    map[string]json.RawMessage `json:"inputResponses"`
	State        string                     `json:"requestState"`
	Capabilities map[string]json.RawMessage `json:"capabilities"`

	question, filename string // from the path
}

// request is one thing to ask of a client, in MCP's terms.
type request struct {
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
}

// ask answers with what the next round of an operation says.
func ask(next func(round) map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := round{question: r.PathValue("question"), filename: r.PathValue("filename")}
		if r.ContentLength != 0 {
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				refuse(w, http.StatusBadRequest, err.Error())
				return
			}
		}
		answer := next(in)
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		reply(w, answer)
	}
}

// answered is true when every request has a response of the right shape.
func (in round) answered(requests map[string]request) bool {
	required := map[string]string{"elicitation/create": "action", "sampling/createMessage": "content", "roots/list": "roots"}
	for key, asked := range requests {
		var response map[string]json.RawMessage
		if json.Unmarshal(in.Responses[key], &response) != nil || response[required[asked.Method]] == nil {
			return false
		}
	}
	return true
}

// needs asks for what is missing, and ends with what done says.
func (in round) needs(requests map[string]request, state string, done func() map[string]any) map[string]any {
	if in.answered(requests) && in.State == state {
		return done()
	}
	return inputRequired(requests, state)
}

func inputRequired(requests map[string]request, state string) map[string]any {
	answer := map[string]any{"resultType": "input_required", "inputRequests": requests}
	if state != "" {
		answer["requestState"] = state
	}
	return answer
}

// form is what an elicitation brought.
func (in round) form(key string) (action string, content map[string]any) {
	var response struct {
		Action  string         `json:"action"`
		Content map[string]any `json:"content"`
	}
	_ = json.Unmarshal(in.Responses[key], &response) // answered has looked at it
	return response.Action, response.Content
}

// said is the text that a model sampled.
func (in round) said(key string) string {
	var response struct {
		Content struct {
			Text string `json:"text"`
		} `json:"content"`
	}
	_ = json.Unmarshal(in.Responses[key], &response)
	return response.Content.Text
}

func elicit(message string, properties map[string]any, required ...string) request {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return request{"elicitation/create", map[string]any{"message": message, "requestedSchema": schema}}
}

func sample(text string, tokens int) request {
	return request{"sampling/createMessage", map[string]any{
		"messages":  []any{map[string]any{"role": "user", "content": map[string]any{"type": "text", "text": text}}},
		"maxTokens": tokens,
	}}
}

func listRoots() request { return request{"roots/list", map[string]any{}} }

func property(kind string) map[string]any { return map[string]any{"type": kind} }

func elicitation(in round) map[string]any {
	asked := elicit(in.Message, map[string]any{
		"username": map[string]any{"type": "string", "description": "User's response"},
		"email":    map[string]any{"type": "string", "description": "User's email address"},
	}, "username", "email")
	return in.needs(map[string]request{"user": asked}, "", func() map[string]any {
		return result("User response: %s", in.told("user"))
	})
}

func sampling(in round) map[string]any {
	return in.needs(map[string]request{"model": sample(in.Prompt, 100)}, "", func() map[string]any {
		return result("LLM response: %s", in.said("model"))
	})
}

func deletion(in round) map[string]any {
	asked := elicit("Delete "+in.filename+"?", map[string]any{"confirm": property("boolean")}, "confirm")
	return in.needs(map[string]request{"confirm": asked}, "", func() map[string]any {
		return result("Deleted %s: %s", in.filename, in.told("confirm"))
	})
}

// told is an elicitation's outcome as text.
func (in round) told(key string) string {
	action, content := in.form(key)
	data, _ := json.Marshal(content) // it was JSON before
	return fmt.Sprintf("action=%s, content=%s", action, data)
}

// question is the next round of one of the questions that take no arguments;
// nil when there is no such question.
func question(in round) map[string]any {
	name := elicit("What is your name?", map[string]any{"name": property("string")}, "name")
	ok := elicit("Please confirm", map[string]any{"ok": property("boolean")}, "ok")
	capital := sample("What is the capital of France?", 100)
	switch in.question {
	case "defaults":
		return in.completed(defaults())
	case "enums":
		return in.completed(enums())
	case "name":
		return in.needs(map[string]request{"user_name": name}, "", func() map[string]any {
			_, content := in.form("user_name")
			return result("Hello, %v!", content["name"])
		})
	case "capital":
		return in.needs(map[string]request{"capital_question": capital}, "", func() map[string]any {
			return result("The model says: %s", in.said("capital_question"))
		})
	case "roots":
		return in.needs(map[string]request{"client_roots": listRoots()}, "", func() map[string]any {
			return result("The roots: %s", in.Responses["client_roots"])
		})
	case "confirm":
		return in.needs(map[string]request{"confirm": ok}, "confirming", func() map[string]any { return result("state-ok") })
	case "several":
		requests := map[string]request{"user_name": name, "greeting": sample("Generate a greeting", 50), "client_roots": listRoots()}
		return in.needs(requests, "several", func() map[string]any {
			return result("%s %s %s", in.told("user_name"), in.said("greeting"), in.Responses["client_roots"])
		})
	case "two":
		return in.needs(map[string]request{"first": name, "second": ok}, "", func() map[string]any {
			return result("%s; %s", in.told("first"), in.told("second"))
		})
	case "steps":
		return in.steps()
	case "possible":
		return in.possible(map[string]request{"user_name": name, "capital_question": capital})
	}
	return nil
}

// steps asks for a name, and then for a color; the name travels in the state.
func (in round) steps() map[string]any {
	first := map[string]request{"step1": elicit("Step 1: What is your name?", map[string]any{"name": property("string")}, "name")}
	second := map[string]request{"step2": elicit("Step 2: What is your favorite color?", map[string]any{"color": property("string")}, "color")}
	var state struct{ Step, Name string }
	if json.Unmarshal([]byte(in.State), &state) != nil || state.Step == "first" && !in.answered(first) {
		return inputRequired(first, `{"Step":"first"}`)
	}
	if state.Step == "first" {
		_, content := in.form("step1")
		data, _ := json.Marshal(map[string]any{"Step": "second", "Name": fmt.Sprint(content["name"])})
		return inputRequired(second, string(data))
	}
	return in.needs(second, in.State, func() map[string]any {
		_, content := in.form("step2")
		return result("%s likes %v.", state.Name, content["color"])
	})
}

// possible asks for what the client says that it can do.
func (in round) possible(requests map[string]request) map[string]any {
	capability := map[string]string{"elicitation/create": "elicitation", "sampling/createMessage": "sampling"}
	maps.DeleteFunc(requests, func(_ string, r request) bool { return in.Capabilities[capability[r.Method]] == nil })
	return in.needs(requests, "", func() map[string]any { return result("%d answers", len(requests)) })
}

// completed asks for one form, and repeats what was filled in.
func (in round) completed(form request) map[string]any {
	return in.needs(map[string]request{"form": form}, "", func() map[string]any {
		return result("Elicitation completed: %s", in.told("form"))
	})
}

// defaults is a form with a default of every primitive type (SEP-1034).
func defaults() request {
	return elicit("Please check these values", map[string]any{
		"name":     map[string]any{"type": "string", "default": "John Doe"},
		"age":      map[string]any{"type": "integer", "default": 30},
		"score":    map[string]any{"type": "number", "default": 95.5},
		"status":   map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
		"verified": map[string]any{"type": "boolean", "default": true},
	})
}

// enums is a form with all five kinds of choices (SEP-1330).
func enums() request {
	options := []string{"option1", "option2", "option3"}
	titled := func(noun string) []any {
		return []any{
			map[string]any{"const": "value1", "title": "First " + noun},
			map[string]any{"const": "value2", "title": "Second " + noun},
			map[string]any{"const": "value3", "title": "Third " + noun},
		}
	}
	return elicit("Please choose", map[string]any{
		"untitledSingle": map[string]any{"type": "string", "enum": options},
		"titledSingle":   map[string]any{"type": "string", "oneOf": titled("Option")},
		"legacyEnum": map[string]any{
			"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"},
		},
		"untitledMulti": map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": options}},
		"titledMulti":   map[string]any{"type": "array", "items": map[string]any{"anyOf": titled("Choice")}},
	})
}
