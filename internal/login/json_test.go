package login

import "encoding/json"

func jsonOf(text string, into any) error { return json.Unmarshal([]byte(text), into) }
