package credential

// KeptBackstage is how many tokens a source of [Backstage] keeps.
func KeptBackstage(s Source) int { return len(s.(*backstage).made) }
