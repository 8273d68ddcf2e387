package openapi

// action joins an operation with one x-action. ok is false when the findings
// say why it cannot be called as it is described.
func (r *reader) action(o *operation, x *xAction) (Action, bool) {
	o, ok := r.narrow(o, x)
	if !ok {
		return Action{}, false
	}
	b := &builder{reader: r, o: o, x: x, slots: r.slots(o)}
	if !b.assign() {
		return Action{}, false
	}
	name, ok := r.name(o, x)
	if !ok {
		return Action{}, false
	}
	description := firstText(x.description, o.description, o.summary)
	a := Action{
		Name:         name,
		Title:        firstText(x.title, o.summary, titleFrom(name)),
		Description:  r.short(description, maxActionText, o.node),
		Attributes:   r.attributes(o.method, x),
		InputSchema:  b.inputSchema(),
		OutputSchema: b.outputSchema(),
		Examples:     x.examples,
		Tags:         x.tags,
		Scopes:       x.scopes,
		Timeout:      x.timeout,
		Deprecated:   o.deprecated,
		Security:     o.security,
		Operation:    r.op,
		Location:     r.at(x.node),
		Request:      b.requestPlan(),
		Response:     x.responsePlan(),
	}
	if a.Description != description {
		a.FullDescription = description
	}
	if x.tags == nil {
		a.Tags = o.tags
	}
	if x.deprecated != nil {
		a.Deprecated = *x.deprecated
	}
	if a.Description == "" {
		r.report(SeverityInfo, "description-missing", o.node, "action has no description; a model has to guess what it does", "add a description")
	}
	return a, true
}
