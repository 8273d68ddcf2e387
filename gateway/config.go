package gateway

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/source"
)

// Config is a whole gateway: what the YAML file says, or what a Go program
// builds. What is left at its zero value is as in [DefaultConfig],
// [DefaultPlugin] and [DefaultServer]. The koanf tags are the YAML keys; the doc
// tags are the config reference, the JSON Schema and the editors' help, with the
// values (enum) and names (names) that are allowed; a plain string in the place
// of a section stands for its field with the plain tag.
type Config struct {
	Listen         string               `koanf:"listen" doc:"Address to listen on. Other than loopback needs authentication."`
	PublicURL      string               `koanf:"publicURL" doc:"URL that clients reach the gateway by, without a path. Default: http:// and the address it listens on."`
	Auth           []Verifier           `koanf:"auth" doc:"How callers prove who they are, where nothing else is said: a list of verifiers, tried in order. \"none\" lets everybody call, and only starts on a loopback address, where it is the default."`
	Rules          []AccessRule         `koanf:"rules" doc:"Who may call what, at all servers and at the actions API. Those of a server come beside them. With any rule here, what no rule allows is denied everywhere."`
	Audit          Audit                `koanf:"audit" doc:"What is kept of calls."`
	Operator       Operator             `koanf:"operator" doc:"Who sees what is for those who run the gateway."`
	AllowedOrigins []string             `koanf:"allowedOrigins" doc:"Origins of web pages that may call, beside the gateway's own, for example https://inspector.example.com."`
	Database       Database             `koanf:"database" doc:"Where MCP sessions and the built-in catalog are kept."`
	Log            Log                  `koanf:"log" doc:"The log on standard error."`
	Limits         Limits               `koanf:"limits" doc:"Bounds on what callers send."`
	Streams        Streams              `koanf:"streams" doc:"Answers that are streams of events, and what is kept of them for clients that lose the connection."`
	Shutdown       Shutdown             `koanf:"shutdown" doc:"How the gateway ends on SIGTERM. A second signal ends it at once."`
	Lock           string               `koanf:"lock" doc:"Contract lock: a file that stagedoor lock writes, relative to the config file. A generation of a plugin that changes a locked tool in a breaking way is quarantined."`
	Publishers     map[string]Publisher `koanf:"publishers" names:"^[a-z0-9][a-z0-9-]{0,62}$" doc:"Who may register plugins at /registry/v1/plugins/{plugin}, by a name of your choice."`
	ActionsAPI     ActionsAPI           `koanf:"actionsAPI" doc:"The actions over HTTP, in the protocol of Backstage's action sources: /.backstage/actions/v1, and the same below /api/{plugin}/."`
	Plugins        map[string]Plugin    `koanf:"plugins" names:"^[a-z0-9][a-z0-9-]{0,62}$" doc:"The services whose actions the gateway offers, by name ([a-z0-9][a-z0-9-]*)."`
	Servers        map[string]Server    `koanf:"servers" names:"^[a-z0-9][a-z0-9-]{0,62}$" doc:"The MCP servers, by name: each is served at /mcp/{name}."`
}

// Database says where state is kept.
type Database struct {
	URL Secret `koanf:"url" doc:"sqlite:PATH (created on first start, relative to the config file) or postgres://user:password@host/name, without a pooler in transaction mode between."`
	// EncryptionKey is of the keys with which the gateway signs.
	EncryptionKey Secret        `koanf:"encryptionKey" doc:"Secret under which the gateway's private signing keys are kept in the database (AES-256-GCM), at least 32 characters, for example the output of openssl rand -hex 32. With another one, the gateway makes new signing keys. Default: they are kept as they are."`
	Wait          time.Duration `koanf:"wait" doc:"How long the start waits for a Postgres that does not answer yet. 0: it ends with an error at once."`
}

// Log says how the log looks.
type Log struct {
	Format string `koanf:"format" enum:"auto,json,text" doc:"auto is text on a terminal and JSON elsewhere."`
	Level  string `koanf:"level" enum:"debug,info,warn,error" doc:"The least severe level that is logged."`
}

// Limits bound what one caller can cost.
type Limits struct {
	RequestBody          Size          `koanf:"requestBody" doc:"Largest request body of a client, of MCP and of the actions API."`
	SessionTTL           time.Duration `koanf:"sessionTTL" doc:"How long an MCP session lives without being used."`
	SessionsPerPrincipal int           `koanf:"sessionsPerPrincipal" doc:"How many MCP sessions one principal may have at a server. With one more, the one that it has not used for the longest time ends. As many may be opened within a minute, and 60 in any case, at each replica; more get 429. Nobody counts the sessions of the anonymous principal."`
	// What one replica does at once:
	Calls             int `koanf:"calls" doc:"How many requests a replica works on at once, of MCP and as many of the actions API. More get 503. A principal of MCP may have a quarter of them, or callsPerSession where that is more, in all its sessions and without one; more get 429. The anonymous one may have all."`
	CallsPerSession   int `koanf:"callsPerSession" doc:"How many of them may be of one session. More get 429."`
	Streams           int `koanf:"streams" doc:"How many connections that only listen a replica holds. More get 503. A principal may have a quarter of them, or streamsPerSession where that is more; more get 429. The anonymous one may have all."`
	StreamsPerSession int `koanf:"streamsPerSession" doc:"How many of them may be of one session. More get 429."`
}

// Streams says when answers become streams, and how they are looked after.
type Streams struct {
	SlowCall    time.Duration `koanf:"slowCall" doc:"After this time an answer becomes a stream, where the client can read one, so that nothing on the way gives up on it."`
	KeepAlive   time.Duration `koanf:"keepAlive" doc:"How often something is sent on a quiet stream."`
	Replay      time.Duration `koanf:"replay" doc:"How long a client of a session can come back for what it missed of a stream."`
	ReplayBytes Size          `koanf:"replayBytes" doc:"How much is kept for that, of one session."`
}

// Shutdown says how a gateway ends; package gateway itself only keeps it for
// the program that serves its handler.
type Shutdown struct {
	Delay   time.Duration `koanf:"delay" doc:"How long requests are still taken after /readyz has begun to answer 503, so that load balancers notice."`
	Timeout time.Duration `koanf:"timeout" doc:"How long calls in flight may take to finish after that."`
}

// Plugin is one service with an OpenAPI document.
type Plugin struct {
	Embedded  string          `koanf:"embedded" enum:"catalog" doc:"A plugin that ships in the binary and is called in process, instead of spec."`
	Spec      string          `koanf:"spec" doc:"Where the OpenAPI document is: a URL, a file, a glob of files or a folder. Relative to the config file. Files are watched. Without it, a plugin with a baseURL is asked for /openapi.json, /openapi.yaml and /.well-known/openapi.json."`
	Backstage BackstageSource `koanf:"backstage" doc:"Actions of a plugin of a Backstage backend, instead of spec."`
	// Document is the OpenAPI document itself, for plugins given in Go.
	Document []byte `koanf:"-"`
	// Handler serves the plugin's API in process, for plugins given in Go.
	Handler       http.Handler             `koanf:"-"`
	Refs          string                   `koanf:"refs" enum:"none,local,origin" doc:"Where $refs may lead out of the document. local: to files in or below its folder, when it is a file. origin: also to what has its scheme, host and port, when it is a URL; that is fetched with the same credentials."`
	Overlays      []string                 `koanf:"overlays" doc:"OpenAPI Overlay 1.0 documents (files, relative to the config file) that annotate the document, applied in order."`
	BaseURL       string                   `koanf:"baseURL" doc:"URL that the document's paths are below. It stands for the document's first server; servers of paths and operations count where they are below it. Default, when the document came from a URL: its first server, if that is on the same host, else that host."`
	Actions       string                   `koanf:"actions" enum:"annotated,all" doc:"Which operations become actions: those with x-action, or every one."`
	Refresh       time.Duration            `koanf:"refresh" doc:"How often the document is asked for again, when it is at a URL or Backstage's (default there: 60s). For the embedded catalog, how often its locations are read again; 0: only at start and reload."`
	Timeout       time.Duration            `koanf:"timeout" doc:"How long a call may take, unless its action says otherwise."`
	MaxResponse   Size                     `koanf:"maxResponse" doc:"Largest response body, decoded."`
	OutputSchemas string                   `koanf:"outputSchemas" enum:"open,strict" doc:"How tools/list shows what a tool gives back. open: as the document says, or anything else, so that no client throws a result away that breaks the document. strict: exactly as the document says, for plugins that keep to theirs."`
	Concurrency   int                      `koanf:"concurrency" doc:"How many calls of the plugin a replica has under way at once. More wait for a moment, and then get an error."`
	Retry         string                   `koanf:"retry" enum:"on,off" doc:"Whether idempotent calls are tried again that did not reach the plugin, or that it answered with 502, 503, 504, or with 429 and Retry-After."`
	Breaker       string                   `koanf:"breaker" enum:"on,off" doc:"Whether a plugin that keeps failing is left alone for a while: its calls then fail at once."`
	Auth          PluginAuth               `koanf:"auth" doc:"The gateway's own credentials for the plugin. A caller's token is never passed on."`
	Schemes       map[string]PluginAuth    `koanf:"securitySchemes" doc:"Credentials by the names of the document's securitySchemes, for documents whose operations need different ones."`
	TLS           TLS                      `koanf:"tls" doc:"Certificates, for a plugin that asks for one or has its own authority."`
	SpecAuth      PluginAuth               `koanf:"specAuth" doc:"Credentials for reading the document. Default: those of auth, where the document is at the plugin's own scheme, host and port."`
	Attributes    map[string]AttributeRule `koanf:"attributes" doc:"The operator's word on attributes, by action name (or glob). It counts more than the document's, which cannot call an action less dangerous than its HTTP method."`
	Icons         []Icon                   `koanf:"icons" doc:"Images that clients show beside each of the plugin's tools."`
	Locations     []string                 `koanf:"locations" doc:"Embedded catalog only: catalog-info.yaml files, globs (both relative to the config file) and URLs to load; embedded:example is the example organisation."`
	AllowedURLs   []string                 `koanf:"allowedURLs" doc:"Embedded catalog only: URL prefixes from which entities may be registered although they are on a private network."`
}

// BackstageSource is a plugin of a Backstage backend that has actions.
type BackstageSource struct {
	BaseURL string            `koanf:"baseURL" doc:"URL of the backend (its backend.baseUrl), for example http://backstage.internal:7007. The plugin is at /api/{plugin} below it."`
	Plugin  string            `koanf:"plugin" doc:"Id of the plugin there, for example catalog."`
	Secrets map[string]Secret `koanf:"secrets" doc:"Secrets for those of its actions that take some, by their names. Models never see them."`
}

// Publisher may register plugins.
type Publisher struct {
	Token      Secret        `koanf:"token" doc:"What it proves itself with, as Authorization: Bearer. At least 16 characters."`
	Plugins    []string      `koanf:"plugins" doc:"Names of the plugins that it may register, or globs of them. A plugin of that name in plugins says the rest: credentials, timeouts, attributes."`
	BaseURLs   []string      `koanf:"baseURLs" doc:"URLs that the base URLs of its plugins have to be, or be below."`
	Principals []Exception   `koanf:"principals" doc:"Who else is this publisher: principals that the gateway's auth tells, with the scope registry:publish."`
	Keep       time.Duration `koanf:"keep" doc:"How long a plugin whose lease has lapsed stays before it is withdrawn."`
}

// ActionsAPI is the HTTP face of the actions.
type ActionsAPI struct {
	Support string       `koanf:"support" enum:"on,off" doc:"Whether there is one. Default: on, unless a server has rules or arguments, which it would pass by, and nothing else is said here."`
	Actions Allowlist    `koanf:"actions" doc:"Which actions it has. Without include: all."`
	Auth    []Verifier   `koanf:"auth" doc:"How callers prove who they are. Default: as at the top level. The audience is the gateway's publicURL with /.backstage/actions."`
	Scopes  Scopes       `koanf:"scopes" doc:"What tokens need. Defaults: actions:read, actions:write and actions:destructive."`
	Rules   []AccessRule `koanf:"rules" doc:"Who may call what, beside the rules at the top level."`
	Limits  CallLimits   `koanf:"limits" doc:"What one principal may do, on one replica."`
}

// PluginAuth is one kind of credentials; set one.
type PluginAuth struct {
	Use               string            `koanf:"use" plain:"true" enum:"none,assertion,backstage" doc:"none: the plugin wants no credentials, whatever its document says. assertion, backstage: those below, with their defaults."`
	Bearer            Secret            `koanf:"bearer" doc:"Sent as Authorization: Bearer."`
	Basic             BasicAuth         `koanf:"basic" doc:"Sent as Authorization: Basic."`
	Header            HeaderAuth        `koanf:"header" doc:"Sent as a header of your choice."`
	Query             QueryAuth         `koanf:"query" doc:"Sent as a parameter of the query."`
	ClientCredentials ClientCredentials `koanf:"clientCredentials" doc:"A token for the gateway itself, from an OAuth token endpoint."`
	TokenExchange     TokenExchange     `koanf:"tokenExchange" doc:"A token for the caller, for which a token service takes the caller's own (RFC 8693)."`
	Assertion         *Assertion        `koanf:"assertion" doc:"A JWT, signed by the gateway and good for 60 seconds, that says who calls which action by which server. Its keys are at /.well-known/jwks.json."`
	Backstage         *BackstageAuth    `koanf:"backstage" doc:"A token as plugins of Backstage have them, for the user who calls. Its keys are at /.backstage/auth/v1/jwks.json."`
}

// IsSet tells whether anything is said.
func (a PluginAuth) IsSet() bool { return !reflect.DeepEqual(a, PluginAuth{}) }

// BasicAuth is RFC 7617's user and password.
type BasicAuth struct {
	Username string `koanf:"username" doc:"User name."`
	Password Secret `koanf:"password" doc:"Password."`
}

// HeaderAuth is an API key in a header.
type HeaderAuth struct {
	Name  string `koanf:"name" doc:"Header name, for example X-API-Key."`
	Value Secret `koanf:"value" doc:"Header value."`
}

// AttributeRule sets attributes; nil leaves one as it is.
type AttributeRule struct {
	ReadOnly    *bool `koanf:"readOnly" doc:"The action changes nothing."`
	Destructive *bool `koanf:"destructive" doc:"The action may destroy or overwrite something."`
	Idempotent  *bool `koanf:"idempotent" doc:"Repeating the call changes nothing more."`
	OpenWorld   *bool `koanf:"openWorld" doc:"The action reaches beyond the company's own systems."`
}

// Server is one named MCP server.
type Server struct {
	Title        string            `koanf:"title" doc:"Name for people. Default: the server's name."`
	Version      string            `koanf:"version" doc:"Version that clients are told. Default: the gateway's."`
	Description  string            `koanf:"description" doc:"What the server is for, for people."`
	WebsiteURL   string            `koanf:"websiteURL" doc:"Page about the server, for people."`
	Icons        []Icon            `koanf:"icons" doc:"Images that clients show for the server."`
	Instructions string            `koanf:"instructions" doc:"What a model should know before it uses the tools."`
	ToolNames    string            `koanf:"toolNames" doc:"Template of tool names, with {plugin} and {action}. \"{plugin}.{action}\" gives Backstage's names."`
	LegacySSE    string            `koanf:"legacySSE" enum:"on,off" doc:"The deprecated HTTP+SSE transport at /mcp/{name}/sse, for clients that know nothing newer."`
	ListPage     int               `koanf:"listPage" doc:"How many tools, prompts or resources one page of a list has."`
	Confirm      string            `koanf:"confirm" enum:"none,destructive" doc:"Of which actions users are asked whether they may be called: of none, or of the destructive ones. A client that cannot ask its user cannot call those."`
	Tasks        Tasks             `koanf:"tasks" doc:"Calls that go on after their request was answered, for clients that know tasks."`
	Auth         []Verifier        `koanf:"auth" doc:"How callers prove who they are: a list of verifiers, tried in order. Default: as at the top level."`
	Scopes       Scopes            `koanf:"scopes" doc:"What tokens need for which actions."`
	Rules        []AccessRule      `koanf:"rules" doc:"Who may call what, beside the rules at the top level."`
	Arguments    []ArgumentRule    `koanf:"arguments" doc:"Arguments that the server binds or narrows."`
	Limits       CallLimits        `koanf:"limits" doc:"What one principal may do, on one replica."`
	Actions      Allowlist         `koanf:"actions" doc:"Which actions are the server's tools. Nothing is shown that is not included."`
	Prompts      map[string]Prompt `koanf:"prompts" names:"^[a-zA-Z0-9_-]{1,64}$" doc:"Templates of messages that users pick and fill in, by name."`
	Resources    []Resource        `koanf:"resources" doc:"What actions answer, to be read under URIs, beside the document of each action (stagedoor://actions/ID), which is always there."`
}

// Tasks are calls that go on after their request was answered.
type Tasks struct {
	Support string        `koanf:"support" enum:"on,off" doc:"Whether there are any."`
	After   time.Duration `koanf:"after" doc:"How long a call may take before its client, of 2026-07-28, gets a task in the place of the result."`
}

// Icon is an image for user interfaces.
type Icon struct {
	Src      string   `koanf:"src" doc:"Where the image is: an https or data URL."`
	MIMEType string   `koanf:"mimeType" doc:"Media type, for example image/svg+xml."`
	Sizes    []string `koanf:"sizes" doc:"Sizes in pixels, for example 48x48, or any."`
	Theme    string   `koanf:"theme" enum:"light,dark" doc:"Background that it is made for."`
}

// Prompt is a template of messages. Its name is the key in [Server].
type Prompt struct {
	Title       string           `koanf:"title" doc:"Name for people."`
	Description string           `koanf:"description" doc:"What the prompt is for."`
	Arguments   []PromptArgument `koanf:"arguments" doc:"What a user fills in."`
	Messages    []PromptMessage  `koanf:"messages" doc:"The messages, in their order."`
}

// PromptArgument is a text that a user fills in.
type PromptArgument struct {
	Name        string   `koanf:"name" doc:"Name, as templates have it in braces."`
	Title       string   `koanf:"title" doc:"Name for people."`
	Description string   `koanf:"description" doc:"What to fill in."`
	Required    bool     `koanf:"required" doc:"It cannot be left out."`
	Enum        []string `koanf:"enum" doc:"All values that it may have; clients can complete them."`
	Ask         bool     `koanf:"ask" doc:"Where it is required and missing, the user is asked for it, if the client can."`
}

// PromptMessage is one message: text, resource, image or audio.
type PromptMessage struct {
	Role     string      `koanf:"role" enum:"user,assistant" doc:"Who says it. Default: user."`
	Text     string      `koanf:"text" doc:"The text. {argument} is filled in; {{ and }} are braces."`
	Resource string      `koanf:"resource" doc:"URI of one of the server's resources, which is embedded. {argument} is filled in, percent-encoded where it is a part."`
	Image    PromptMedia `koanf:"image" doc:"An image."`
	Audio    PromptMedia `koanf:"audio" doc:"A sound."`
}

// PromptMedia is a file, or its content for gateways made in Go.
type PromptMedia struct {
	File     string `koanf:"file" doc:"The file, at most 4 MiB. Relative to the config file."`
	MIMEType string `koanf:"mimeType" doc:"Media type, for example image/png. Default: what the content looks like."`
	Data     []byte `koanf:"-"`
}

// Resource is what an action answers, under a URI or those of a template.
type Resource struct {
	URI         string            `koanf:"uri" doc:"URI, with a scheme of your choice, for example docs://intro."`
	URITemplate string            `koanf:"uriTemplate" doc:"RFC 6570 template of URIs, instead of uri, for example tickets://{id}. A variable is a part of one path segment."`
	Name        string            `koanf:"name" doc:"Name for programs."`
	Title       string            `koanf:"title" doc:"Name for people."`
	Description string            `koanf:"description" doc:"What there is to read."`
	MIMEType    string            `koanf:"mimeType" doc:"Media type of the text. Default: application/json or text/plain, as the action answers; binary data keeps its own."`
	Action      string            `koanf:"action" doc:"Id of the action, which has to be readOnly and one that the server includes."`
	Arguments   map[string]Scalar `koanf:"arguments" doc:"Its arguments. \"{id}\" is the template's variable id; lists and objects are written as JSON."`
}

// Scalar is a string, number or boolean as it is written in YAML. What it is
// in the end, the schema of its place says.
type Scalar string

// Allowlist picks actions: what an include rule matches and no exclude rule
// does.
type Allowlist struct {
	Include []Rule `koanf:"include" doc:"Rules of which one has to match. A rule that matches no action is an error."`
	Exclude []Rule `koanf:"exclude" doc:"Rules of which none may match."`
}

// Rule matches actions of which all that it says is true. In YAML a plain
// string is the id glob.
type Rule struct {
	ID         string        `koanf:"id" plain:"true" doc:"Glob on action ids, for example catalog:* or billing:get-*."`
	Plugin     string        `koanf:"plugin" doc:"Name of a plugin."`
	Tags       []string      `koanf:"tags" doc:"Tags that the action has, all of them."`
	Attributes AttributeRule `koanf:"attributes" doc:"Attributes that the action has."`
}

// DefaultConfig is what holds where a config says nothing.
func DefaultConfig() Config {
	return Config{
		Listen:   "127.0.0.1:8080",
		Audit:    Audit{Arguments: "fingerprint", Database: "off", Retention: 30 * 24 * time.Hour},
		Database: Database{URL: SecretValue("sqlite:stagedoor.db")},
		Log:      Log{Format: "auto", Level: "info"},
		Limits: Limits{
			RequestBody: 4 << 20, SessionTTL: 24 * time.Hour,
			Calls: 10_000, CallsPerSession: 1000, Streams: 10_000, StreamsPerSession: 16,
			SessionsPerPrincipal: 1000,
		},
		Streams:  Streams{SlowCall: 2 * time.Second, KeepAlive: 15 * time.Second, Replay: 10 * time.Minute, ReplayBytes: 16 << 20},
		Shutdown: Shutdown{Timeout: 30 * time.Second},
	}
}

// DefaultPlugin is what holds where a plugin says nothing.
func DefaultPlugin() Plugin {
	return Plugin{Refs: "local", Actions: "annotated", Timeout: 30 * time.Second, MaxResponse: 1 << 20, OutputSchemas: "open", Concurrency: 256, Retry: "on", Breaker: "on"}
}

// DefaultPublisher is what holds where a publisher says nothing.
func DefaultPublisher() Publisher { return Publisher{Keep: 24 * time.Hour} }

// DefaultServer is what holds where a server says nothing.
func DefaultServer() Server {
	return Server{ToolNames: "{plugin}_{action}", LegacySSE: "on", ListPage: 1000, Confirm: "none", Tasks: Tasks{Support: "on", After: 5 * time.Second}}
}

// origins are the allowed origins as browsers write them.
func (c Config) origins() []string {
	origins := make([]string, 0, len(c.AllowedOrigins))
	for _, o := range c.AllowedOrigins {
		origins = append(origins, strings.TrimSuffix(o, "/"))
	}
	return origins
}

// Files lists the files that the config names, beside its own: overlays, the
// contract lock, secrets, images and sounds. Documents are not among them, nor
// are locations of the embedded catalog: a gateway looks after both itself.
func (c Config) Files() []string {
	files := filesIn(reflect.ValueOf(c))
	for _, p := range c.Plugins {
		files = append(files, p.Overlays...)
	}
	files = slices.DeleteFunc(append(files, c.Lock), func(file string) bool { return file == "" })
	slices.Sort(files)
	return slices.Compact(files)
}

// filesIn lists the files that secrets, certificates, images and sounds are in.
func filesIn(v reflect.Value) (files []string) {
	switch is := v.Interface().(type) {
	case Secret:
		return is.files()
	case PromptMedia:
		return []string{is.File}
	case TLS:
		return []string{is.CertFile, is.KeyFile, is.CAFile}
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanInterface() {
				files = append(files, filesIn(field)...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			files = append(files, filesIn(v.Index(i))...)
		}
	case reflect.Map:
		for _, element := range v.Seq2() {
			files = append(files, filesIn(element)...)
		}
	}
	return files
}

// Documents lists the files in which plugins' documents are; of a glob or a
// folder those that are there now.
func (c Config) Documents() (files []string) {
	for _, p := range c.Plugins {
		files = append(files, source.Paths(p.Spec)...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// withDefaults fills in what a config made in Go left at its zero value.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.Listen = cmp.Or(c.Listen, d.Listen)
	if len(c.Auth) == 0 {
		c.Auth = []Verifier{{Use: "none"}}
	}
	c.Audit.Arguments, c.Audit.Database = cmp.Or(c.Audit.Arguments, d.Audit.Arguments), cmp.Or(c.Audit.Database, d.Audit.Database)
	c.Audit.Retention = cmp.Or(c.Audit.Retention, d.Audit.Retention)
	c.Database.URL = cmp.Or(c.Database.URL, d.Database.URL)
	c.Log.Format, c.Log.Level = cmp.Or(c.Log.Format, d.Log.Format), cmp.Or(c.Log.Level, d.Log.Level)
	c.Limits.RequestBody = cmp.Or(c.Limits.RequestBody, d.Limits.RequestBody)
	c.Limits.SessionTTL = cmp.Or(c.Limits.SessionTTL, d.Limits.SessionTTL)
	c.Limits.Calls, c.Limits.CallsPerSession = cmp.Or(c.Limits.Calls, d.Limits.Calls), cmp.Or(c.Limits.CallsPerSession, d.Limits.CallsPerSession)
	c.Limits.Streams, c.Limits.StreamsPerSession = cmp.Or(c.Limits.Streams, d.Limits.Streams), cmp.Or(c.Limits.StreamsPerSession, d.Limits.StreamsPerSession)
	c.Limits.SessionsPerPrincipal = cmp.Or(c.Limits.SessionsPerPrincipal, d.Limits.SessionsPerPrincipal)
	c.Streams.SlowCall, c.Streams.KeepAlive = cmp.Or(c.Streams.SlowCall, d.Streams.SlowCall), cmp.Or(c.Streams.KeepAlive, d.Streams.KeepAlive)
	c.Streams.Replay, c.Streams.ReplayBytes = cmp.Or(c.Streams.Replay, d.Streams.Replay), cmp.Or(c.Streams.ReplayBytes, d.Streams.ReplayBytes)
	c.Shutdown.Timeout = cmp.Or(c.Shutdown.Timeout, d.Shutdown.Timeout)
	c.Plugins, c.Servers, c.Publishers = maps.Clone(c.Plugins), maps.Clone(c.Servers), maps.Clone(c.Publishers)
	for name, p := range c.Publishers {
		p.Keep = cmp.Or(p.Keep, DefaultPublisher().Keep)
		c.Publishers[name] = p
	}
	for name, p := range c.Plugins {
		d := DefaultPlugin()
		p.Refs = cmp.Or(p.Refs, d.Refs)
		p.Actions, p.Timeout, p.MaxResponse = cmp.Or(p.Actions, d.Actions), cmp.Or(p.Timeout, d.Timeout), cmp.Or(p.MaxResponse, d.MaxResponse)
		p.OutputSchemas, p.Concurrency = cmp.Or(p.OutputSchemas, d.OutputSchemas), cmp.Or(p.Concurrency, d.Concurrency)
		p.Retry, p.Breaker = cmp.Or(p.Retry, d.Retry), cmp.Or(p.Breaker, d.Breaker)
		c.Plugins[name] = p
	}
	for name, s := range c.Servers {
		s.Tasks.Support, s.Tasks.After = cmp.Or(s.Tasks.Support, DefaultServer().Tasks.Support), cmp.Or(s.Tasks.After, DefaultServer().Tasks.After)
		s.Confirm, s.LegacySSE = cmp.Or(s.Confirm, DefaultServer().Confirm), cmp.Or(s.LegacySSE, DefaultServer().LegacySSE)
		s.ToolNames, s.ListPage = cmp.Or(s.ToolNames, DefaultServer().ToolNames), cmp.Or(s.ListPage, DefaultServer().ListPage)
		c.Servers[name] = s
	}
	return c
}
