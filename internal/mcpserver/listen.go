package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/session"
)

// listsCursor begins the event ids of a session's own stream. The rest says
// which lists the client has heard of, so that it misses no change while it is
// away, and nothing has to be kept for it.
const listsCursor = "lists"

// maxResourceSubscriptions bounds what one stream can ask for.
const maxResourceSubscriptions = 1000

// listenLegacy is the stream on which a session is told of changed lists.
func (h *Handler) listenLegacy(x *exchange, s session.Session, last string) {
	l := &listener{server: x.server.name, session: s.ID, lists: toolsList | promptsList | resourcesList}
	remove := h.listeners.add(l)
	defer func() {
		if remove() { // older ones at other replicas, if there are any, are told again
			h.signal(x.r.Context(), session.SignalUnlisten, s.ID)
		}
	}()
	current := h.server(x.server.name) // from here on, changes are told
	if current == nil {
		x.refuse(unknownServer(x.server.name))
		return
	}
	h.signal(x.r.Context(), session.SignalListen, s.ID)
	allowed, done := h.whileAllowed(x)
	defer done()
	beginEvents(x.w)
	heard := hearing{nonce: newSessionID(), versions: current.versions}
	changed := heard.resume(last)
	out := notices{
		h: h, listener: l, subscribed: h.subscribed(s.ID), knows: x.knows, alive: x.comment,
		telling: func(list int) {
			if current := h.server(l.server); current != nil {
				heard.versions[list] = current.versions[list]
			}
		},
		deliver: func(message []byte) bool { return writeEvent(x.w, appendEvent(heard.appendID(nil), message)) == nil },
	}
	if s.ProtocolVersion >= mcp.ProtocolVersion20251125 {
		_ = writeEvent(x.w, primer(heard.appendID(nil))) // a client that is gone shows soon enough
	} else {
		x.comment()
	}
	l.tell(func(l *listener) { l.changed |= changed })
	out.run(allowed)
	x.unbound()
}

// comment keeps a connection alive; false: it is not.
func (x *exchange) comment() bool { return writeEvent(x.w, []byte(":\n\n")) == nil }

// unbound leaves a connection without the deadline of the last event.
func (x *exchange) unbound() { _ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{}) }

// hearing is what the client of a session's own stream has heard of. Its event
// ids are "lists.TOOLS.PROMPTS.RESOURCES.NONCE.NUMBER": the versions of the lists
// that it was told of, the stream's nonce and the event's number in it, so that
// no two in a session are the same.
type hearing struct {
	versions [3]string
	nonce    string
	number   int
}

// resume goes on after the event with the id, where that is one of such a
// stream, and tells what the client missed since.
func (u *hearing) resume(id string) (missed listKind) {
	if !strings.HasPrefix(id, listsCursor+".") { // a new stream, not one that was lost
		return 0
	}
	now, was := u.versions, strings.Split(id, ".")[1:]
	u.versions = [3]string{"-", "-", "-"}
	copy(u.versions[:], was)
	for i := range u.versions { // an id is whatever the client wants it to be
		if u.versions[i] != now[i] {
			u.versions[i] = "-"
		}
	}
	return changedLists(u.versions, now)
}

func (u *hearing) appendID(dst []byte) []byte {
	u.number++
	dst = append(append(dst, "id: "+listsCursor+"."...), strings.Join(u.versions[:], ".")...)
	dst = append(append(append(dst, '.'), u.nonce...), '.')
	return append(strconv.AppendInt(dst, int64(u.number), 10), '\n')
}

// changedLists compares the versions of lists.
func changedLists(was, is [3]string) (changed listKind) {
	for i, l := range listNames() {
		if was[i] != is[i] {
			changed |= l.list
		}
	}
	return changed
}

// subscribed tells which resources a session wants to be told of. What the
// database does not tell right now is not told.
func (h *Handler) subscribed(id string) func(ctx context.Context, uri string) bool {
	return func(ctx context.Context, uri string) bool {
		uris, err := h.options.Store.Subscriptions(ctx, id)
		return err == nil && slices.Contains(uris, uri)
	}
}

// knows tells whether the client may still know of a resource, by the rules of
// now.
func (x *exchange) knows(uri string) bool {
	s := x.handler.server(x.server.name)
	if x.forwards() {
		s = s.unguarded()
	}
	return s != nil && s.hasResource(x.principal, uri)
}

// listenModern is subscriptions/listen of 2026-07-28 (basic/patterns/subscriptions).
func (h *Handler) listenModern(x *exchange, m *envelope) {
	filter, fault := x.subscription(m)
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	if !x.stream.allowed && !x.forwards() {
		x.refuse(&refusal{status: http.StatusNotAcceptable, message: "Accept must admit " + eventStream})
		return
	}
	tasks, fault := h.listenedTasks(x, m)
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	l := &listener{server: x.server.name, lists: lists(filter), tasks: tasks, due: slices.Sorted(maps.Keys(tasks))}
	defer h.listeners.add(l)()
	if h.server(x.server.name) == nil { // from here on, its end is told
		x.refuse(unknownServer(x.server.name))
		return
	}
	allowed, done := h.whileAllowed(x)
	defer done()
	out := notices{
		h: h, listener: l, meta: append(append([]byte(`"_meta":{"`+mcp.MetaKeySubscriptionID+`":`), m.id...), '}'),
		subscribed: func(_ context.Context, uri string) bool { return slices.Contains(filter.ResourceSubscriptions, uri) }, knows: x.knows,
	}
	out.deliver, out.alive = x.subscriber()
	agreed, err := json.Marshal(filter)
	if err != nil {
		return // of booleans and strings
	}
	if tasks != nil {
		agreed = addMember(agreed, "taskIds", appendStrings(nil, slices.Sorted(maps.Keys(tasks))))
	}
	out.send("notifications/subscriptions/acknowledged", append([]byte(`"notifications":`), agreed...))
	if ended := out.run(allowed); ended { // by us: said with the answer to the request
		result := append(append([]byte(`{"resultType":"complete",`), out.meta...), '}')
		out.deliver(appendAnswer(nil, m.id, result, nil))
	}
	if !x.forwards() {
		x.unbound()
	}
}

// subscriber is how a client that listens is told something.
func (x *exchange) subscriber() (deliver func([]byte) bool, alive func() bool) {
	if x.forwards() {
		return func(message []byte) bool { x.stream.forward(message); return true }, nil
	}
	beginEvents(x.w)
	return func(message []byte) bool { return writeEvent(x.w, appendEvent(nil, message)) == nil }, x.comment
}

// lists are those that the client asked for.
func lists(filter mcp.SubscriptionFilter) (wanted listKind) {
	for _, w := range []struct {
		wanted bool
		list   listKind
	}{{filter.ToolsListChanged, toolsList}, {filter.PromptsListChanged, promptsList}, {filter.ResourcesListChanged, resourcesList}} {
		if w.wanted {
			wanted |= w.list
		}
	}
	return wanted
}

// subscription reads what the client asked for, as far as the server agrees.
func (x *exchange) subscription(m *envelope) (filter mcp.SubscriptionFilter, fault *rpcError) {
	raw := m.param("notifications")
	if !isObject(raw) || json.Unmarshal(raw, &filter) != nil {
		return filter, invalidParams("params.notifications must say which notifications are wanted")
	}
	if len(filter.ResourceSubscriptions) > maxResourceSubscriptions {
		return filter, invalidParams("resourceSubscriptions are at most 1000")
	}
	filter.ResourceSubscriptions = slices.DeleteFunc(filter.ResourceSubscriptions, func(uri string) bool { return !x.server.hasResource(x.principal, uri) })
	return filter, nil
}

// notices tells a listener's client what changed.
type notices struct {
	h          *Handler
	listener   *listener
	subscribed func(ctx context.Context, uri string) bool
	knows      func(uri string) bool // whether the client may know of it; nil: of everything
	meta       []byte                // of each notification, nil: none
	telling    func(list int)        // says of which list a message is, before it is delivered; nil: nobody wants to know
	// deliver gives the client a message; false: it is gone.
	deliver func(message []byte) bool
	alive   func() bool // keeps the connection alive, nil: not needed
}

// run tells of changes until the client goes or may not listen any more, and says
// whether it was us who ended.
func (n *notices) run(ctx context.Context) (ended bool) {
	tick := time.NewTicker(n.h.options.KeepAlive)
	defer tick.Stop()
	for {
		if over := n.tell(ctx); over {
			return true
		}
		select {
		case <-n.listener.wake:
		case <-tick.C:
			n.h.sessions.touch(n.listener.session)
			if n.alive != nil && !n.alive() {
				return false
			}
		case <-ctx.Done():
			return errors.Is(context.Cause(ctx), errNoRight)
		case <-n.h.draining:
			n.tell(ctx) // what has come in the same moment
			return true
		}
	}
}

// tell says what is new; over says that there is no more to listen to.
func (n *notices) tell(ctx context.Context) (over bool) {
	changed, updated, over := n.listener.take()
	for i, l := range listNames() {
		if changed&l.list != 0 {
			if n.telling != nil {
				n.telling(i)
			}
			n.send("notifications/"+l.name+"/list_changed", nil)
		}
	}
	n.tellTasks(ctx)
	for _, uri := range updated {
		if (n.knows == nil || n.knows(uri)) && n.subscribed(ctx, uri) {
			n.send("notifications/resources/updated", appendString([]byte(`"uri":`), uri))
		}
	}
	return over
}

// send delivers a notification; params is what stands between its braces. A
// client that is gone shows elsewhere.
func (n *notices) send(method string, params []byte) {
	message := append([]byte(`{"jsonrpc":"2.0","method":"`), method...)
	message = append(message, '"')
	if n.meta != nil || params != nil {
		message = append(message, `,"params":{`...)
		message = append(message, n.meta...)
		if n.meta != nil && params != nil {
			message = append(message, ',')
		}
		message = append(append(message, params...), '}')
	}
	n.deliver(append(message, '}'))
}
