package specs_test

// overlayCalls are calls of the overlays' actions, the request that each comes
// to, an answer as Backstage gives it, and the result.
var overlayCalls = []struct{ id, arguments, sent, answer, want string }{
	{
		"search:query", `{"term":"a & b","kind":["API"],"owner":["x","y"],"filters":{"componentType":"service","kind":"Group"},"types":["techdocs"]}`,
		`GET /query?term=a%20%26%20b&types=techdocs&pageLimit=10&filters%5BcomponentType%5D=service&filters%5Bkind%5D%5B0%5D=API&filters%5Bowner%5D%5B0%5D=x&filters%5Bowner%5D%5B1%5D=y`, `200 {"results":[{"type":"techdocs","document":{"title":"A","text":"B","location":"/c","path":"d"},"rank":1,"highlight":{"preTag":"<b>"}}],"nextPageCursor":"MQ==","numberOfResults":12}`,
		`{"results":[{"type":"techdocs","document":{"title":"A","text":"B","location":"/c","path":"d"},"rank":1}],"hasMoreResults":true,"nextPageCursor":"MQ==","totalItems":12}`,
	},
	{"search:query", `{}`, `GET /query?pageLimit=10`, `200 {"results":[]}`, `{"results":[],"hasMoreResults":false}`},
	{"search:query", `{"pageCursor":"MQ==","pageLimit":2}`, `GET /query?pageLimit=2&pageCursor=MQ==`, `200 {"results":[{"type":"x","document":{}}],"numberOfResults":0}`, `{"results":[{"type":"x","document":{}}],"hasMoreResults":false,"totalItems":0}`},
	{"search:query", `{"term":"a","types":["x"]}`, `GET /query?term=a&types=x&pageLimit=10`, `400 {"error":{"name":"InputError","message":"Invalid query string"},"request":{},"response":{}}`, `fault: InputError: Invalid query string`},

	{
		"notifications:get-notifications", `{}`, `GET /notifications?limit=10&orderField=created,desc&read=false`,
		`200 {"totalCount":2,"notifications":[{"id":"1","user":null,"created":"2026-01-01T00:00:00.000Z","saved":null,"read":1795387584652,"updated":null,"origin":"plugin:a","payload":{"title":"T","description":null,"link":null,"severity":"low","topic":null,"scope":null,"icon":"x","metadata":{"a":null}}}]}`,
		`{"totalCount":2,"notifications":[{"id":"1","created":"2026-01-01T00:00:00.000Z","read":"2026-11-22T22:46:24Z","origin":"plugin:a","payload":{"title":"T","severity":"low","metadata":{"a":null}}}]}`,
	},
	{"notifications:get-notifications", `{"view":"all","limit":3,"offset":6,"topic":"a,b","createdAfter":"2026-01-31T08:00:00+02:00","minimumSeverity":"high","search":"x&y"}`, `GET /notifications?search=x%26y&topic=a,b&minimumSeverity=high&createdAfter=2026-01-31T08:00:00%2B02:00&limit=3&offset=6&orderField=created,desc`, `200 {"totalCount":0,"notifications":[]}`, `{"totalCount":0,"notifications":[]}`},
	{"notifications:get-notifications", `{"view":"saved"}`, `GET /notifications?limit=10&orderField=created,desc&saved=true`, `200 {"totalCount":0,"notifications":[]}`, `{"totalCount":0,"notifications":[]}`},
	{"notifications:get-notifications", `{"view":"read"}`, `GET /notifications?limit=10&orderField=created,desc&read=true`, `403 {"error":{"name":"NotAllowedError","message":"This endpoint does not allow 'service' credentials"}}`, `fault: NotAllowedError`},
	{"notifications:get-notifications", `{"view":"new"}`, ``, `200 {}`, `fault: view`},
	{
		"notifications:get-notification-by-id", `{"id":"a/b"}`, `GET /notifications/a%2Fb`,
		`200 {"id":"a/b","user":"user:default/a","created":"c","saved":"s","read":null,"updated":"u","origin":"o","payload":{"title":"T","description":"D","link":"/l","severity":"high","topic":"t","scope":"s"}}`,
		`{"id":"a/b","user":"user:default/a","created":"c","saved":"s","updated":"u","origin":"o","payload":{"title":"T","description":"D","link":"/l","severity":"high","topic":"t","scope":"s"}}`,
	},
	{"notifications:get-notification-status", `{}`, `GET /status`, `200 {"unread":1,"read":2}`, `{"unread":1,"read":2}`},
	{"notifications:list-notification-topics", `{"search":"a","minimumSeverity":"low"}`, `GET /topics?search=a&minimumSeverity=low`, `200 {"topics":["a"]}`, `{"topics":["a"]}`},
	{
		"notifications:mark-notifications", `{"ids":["1"],"read":false}`, `POST /notifications/update {"ids":["1"],"read":false}`, `200 [{"id":"1","read":null,"saved":17,"payload":{"title":"T"}}]`,
		`{"notifications":[{"id":"1","title":"T","isRead":false,"isSaved":true}]}`,
	},
	{"notifications:mark-notifications", `{"ids":[]}`, ``, `200 []`, `fault: ids`},
	{
		"notifications:send-notification", `{"recipients":["group:a"],"exclude":["user:default/b"],"title":"T","description":"D","link":"/x","severity":"high","topic":"t","scope":"s"}`, `POST /notifications {"payload":{"description":"D","link":"/x","scope":"s","severity":"high","title":"T","topic":"t"},"recipients":{"entityRef":["group:a"],"excludeEntityRef":["user:default/b"],"type":"entity"}}`,
		`200 [{"id":"1","user":"user:default/a","payload":{"title":"T"}}]`, `{"notifications":[{"id":"1","user":"user:default/a"}]}`,
	},
	{"notifications:send-notification", `{"recipients":["user:default/a"],"title":"T"}`, `POST /notifications {"payload":{"severity":"normal","title":"T"},"recipients":{"entityRef":["user:default/a"],"type":"entity"}}`, `200 []`, `{"notifications":[]}`},
	{"notifications:send-notification", `{"recipients":["user:default/a"],"title":"T","link":"javascript:1"}`, ``, `200 []`, `fault: link`},
	{"notifications:broadcast-notification", `{"title":"T","topic":"t"}`, `POST /notifications {"payload":{"severity":"normal","title":"T","topic":"t"},"recipients":{"type":"broadcast"}}`, `200 [{"id":"1","user":null}]`, `{"notifications":[{"id":"1"}]}`},
	{"notifications:broadcast-notification", `{"title":"T","recipients":["user:default/a"]}`, ``, `200 []`, `fault: recipients`},

	{
		"scaffolder:get-template-parameters", `{"templateRef":"Template:depot/Note"}`, `GET /v2/templates/depot/template/Note/parameter-schema`,
		`200 {"title":"N","description":"D","presentation":{},"steps":[{"title":"A","schema":{"properties":{}}},{"title":"B","description":"b","schema":{}}]}`,
		`{"title":"N","description":"D","steps":[{"title":"A","schema":{"properties":{}}},{"title":"B","description":"b","schema":{}}]}`,
	},
	{"scaffolder:get-template-parameters", `{"templateRef":"note"}`, `GET /v2/templates/default/template/note/parameter-schema`, `200 {"title":"N","steps":[]}`, `{"title":"N","steps":[]}`},
	{"scaffolder:get-template-parameters", `{"templateRef":"depot/note"}`, `GET /v2/templates/depot/template/note/parameter-schema`, `404 {"error":{"name":"NotFoundError","message":"no"}}`, `fault: NotFoundError: no`},
	{"scaffolder:get-template-parameters", `{"templateRef":"a/b/c"}`, ``, `200 {}`, `fault: templateRef`},
	{"scaffolder:execute-template", `{"templateRef":"note","values":{"a":[1,null]}}`, `POST /v2/tasks {"templateRef":"note","values":{"a":[1,null]}}`, `201 {"id":"7"}`, `{"taskId":"7"}`},
	{
		"scaffolder:execute-template", `{"templateRef":"note","values":{}}`, `POST /v2/tasks {"templateRef":"note","values":{}}`,
		`400 {"errors":[{"path":["a"],"property":"instance.a","message":"is required","name":"required","stack":"instance.a is required"}]}`, `fault: required: is required`,
	},
	{"scaffolder:execute-template", `{"templateRef":"note","values":{},"secrets":{"a":"b"}}`, ``, `201 {"id":"7"}`, `fault: secrets`},
	{
		"scaffolder:list-scaffolder-tasks", `{"status":["failed","open"],"createdBy":["user:default/a"],"offset":2}`, `GET /v2/tasks?status=failed&status=open&createdBy=user:default/a&limit=20&offset=2&order=desc:created_at`,
		`200 {"tasks":[{"id":"7","status":"failed","createdAt":"c","createdBy":null,"spec":{"templateInfo":{"entityRef":"template:default/note"},"parameters":{"secret":"x"}}},{"id":"8","status":"open","createdAt":"c","createdBy":"user:default/a","lastHeartbeatAt":"h","spec":{}}],"totalTasks":4}`,
		`{"tasks":[{"taskId":"7","status":"failed","createdAt":"c","templateRef":"template:default/note"},{"taskId":"8","status":"open","createdAt":"c","createdBy":"user:default/a","lastHeartbeatAt":"h"}],"totalTasks":4}`,
	},
	{"scaffolder:list-scaffolder-tasks", `{}`, `GET /v2/tasks?limit=20&order=desc:created_at`, `200 {"tasks":[]}`, `{"tasks":[],"totalTasks":0}`},
	{
		"scaffolder:get-scaffolder-task", `{"taskId":"7"}`, `GET /v2/tasks/7`,
		`200 {"id":"7","status":"processing","createdAt":"c","lastHeartbeatAt":"h","spec":{"steps":[{"id":"s","name":"S","action":"debug:log","input":{"a":1}}],"parameters":{"a":1},"templateInfo":{"entityRef":"template:default/note"}}}`,
		`{"taskId":"7","status":"processing","createdAt":"c","lastHeartbeatAt":"h","templateRef":"template:default/note","parameters":{"a":1},"steps":[{"id":"s","name":"S","action":"debug:log"}]}`,
	},
	{
		"scaffolder:get-scaffolder-task-logs", `{"taskId":"7","after":3}`, `GET /v2/tasks/7/events?after=3`,
		`200 [{"id":4,"type":"recovered","createdAt":"c","body":{"recoverStrategy":"none"}},{"id":5,"type":"log","createdAt":"c","body":{"message":"\u001b[32minfo\u001b[39m: go","stepId":"s","status":"processing"}},{"id":6,"type":"log","createdAt":"c","body":{"message":"Error: x\n    at A (/opt/a.js:1:2)\n    at async B\nthen","stepId":"s","status":"failed"}}]`,
		`{"events":[{"id":4,"type":"recovered","createdAt":"c","message":"The task starts again."},{"id":5,"type":"log","createdAt":"c","message":"info: go","stepId":"s","status":"processing"},{"id":6,"type":"log","createdAt":"c","message":"Error: x\nthen","stepId":"s","status":"failed"}],"finished":false}`,
	},
	{
		"scaffolder:get-scaffolder-task-logs", `{"taskId":"7"}`, `GET /v2/tasks/7/events`,
		`200 [{"id":4,"type":"completion","isTaskRecoverable":false,"createdAt":"c","body":{"message":"Done","output":{"links":[]}}}]`,
		`{"events":[{"id":4,"type":"completion","createdAt":"c","message":"Done"}],"finished":true,"output":{"links":[]}}`,
	},
	{
		"scaffolder:get-scaffolder-task-logs", `{"taskId":"8"}`, `GET /v2/tasks/8/events`,
		`200 [{"id":4,"type":"completion","isTaskRecoverable":true,"createdAt":"c","body":{"message":"Failed","error":{"name":"Error","message":"no disk"}}}]`,
		`{"events":[{"id":4,"type":"completion","createdAt":"c","message":"Failed"}],"finished":false,"error":"no disk"}`,
	},
	{"scaffolder:get-scaffolder-task-logs", `{"taskId":"9"}`, `GET /v2/tasks/9/events`, `200 []`, `{"events":[],"finished":false}`},
	{"scaffolder:cancel-scaffolder-task", `{"taskId":"7"}`, `POST /v2/tasks/7/cancel`, `200 {"status":"cancelled"}`, `{"taskId":"7"}`},
	{"scaffolder:retry-scaffolder-task", `{"taskId":"7"}`, `POST /v2/tasks/7/retry {"secrets":{}}`, `201 {"id":"7"}`, `{"taskId":"7"}`},
	{
		"scaffolder:dry-run-template", `{"templateYaml":"apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: a}\nspec: {type: b, steps: [{action: c}]}","values":{"x":1},"files":[{"path":"skeleton/ä","content":"ö"}]}`, `POST /v2/dry-run {"directoryContents":[{"base64Content":"w7Y=","path":"skeleton/ä"}],"template":{"apiVersion":"scaffolder.backstage.io/v1beta3","kind":"Template","metadata":{"name":"a"},"spec":{"steps":[{"action":"c"}],"type":"b"}},"values":{"x":1}}`,
		`200 {"log":[{"body":{"message":"\u001b[36mgo\u001b[39m","stepId":"s"}}],"output":{"text":[]},"steps":[{"id":"s","name":"c","action":"c","input":{}}],"directoryContents":[{"path":"ä","executable":false,"base64Content":"w7Y="},{"path":"b.png","base64Content":"iVBORwA="}]}`,
		`{"valid":true,"errors":[],"log":[{"message":"go","stepId":"s"}],"output":{"text":[]},"steps":[{"id":"s","name":"c","action":"c"}],"files":[{"path":"ä","content":"ö"},{"path":"b.png"}]}`,
	},
	{
		"scaffolder:dry-run-template", `{"templateYaml":"{apiVersion: scaffolder.backstage.io/v1beta3, kind: Template, metadata: {name: a}, spec: {type: b, steps: []}}"}`, `POST /v2/dry-run {"directoryContents":[],"template":{"apiVersion":"scaffolder.backstage.io/v1beta3","kind":"Template","metadata":{"name":"a"},"spec":{"steps":[],"type":"b"}},"values":{}}`,
		`400 {"errors":[{"property":"instance.port","message":"is no number","stack":"instance.port is no number"},{"message":"bare"}]}`,
		`{"valid":false,"errors":["values.port is no number","bare"]}`,
	},
	{
		"scaffolder:dry-run-template", `{"templateYaml":"{apiVersion: scaffolder.backstage.io/v1beta3, kind: Template, metadata: {name: a}, spec: {type: b, steps: []}}"}`, `POST /v2/dry-run {"directoryContents":[],"template":{"apiVersion":"scaffolder.backstage.io/v1beta3","kind":"Template","metadata":{"name":"a"},"spec":{"steps":[],"type":"b"}},"values":{}}`,
		`404 {"error":{"name":"NotFoundError","message":"Template action with ID 'x' is not registered","stack":"a\n    at b"}}`,
		`{"valid":false,"errors":["Template action with ID 'x' is not registered"]}`,
	},
	{"scaffolder:dry-run-template", `{"templateYaml":"a: [b"}`, ``, `200 {}`, `fault: templateYaml: `},
	{"scaffolder:dry-run-template", `{"templateYaml":"just text"}`, ``, `200 {}`, `fault: kind Template`},
	{"scaffolder:dry-run-template", `{"templateYaml":"{kind: Template, apiVersion: backstage.io/v1beta2}"}`, ``, `200 {}`, `fault: v1beta3`},
	{"scaffolder:dry-run-template", `{"templateYaml":"{kind: Template, apiVersion: scaffolder.backstage.io/v1beta3, metadata: a}"}`, ``, `200 {}`, `fault: metadata.name`},
	{"scaffolder:dry-run-template", `{"templateYaml":"{kind: Template, apiVersion: scaffolder.backstage.io/v1beta3, metadata: {name: a}, spec: {type: b, steps: [1]}}"}`, ``, `200 {}`, `fault: a step without action`},
	{
		"scaffolder:list-scaffolder-actions", `{}`, `GET /v2/actions`, `200 [{"id":"a","description":"A","schema":{"input":{"type":"object"}}},{"id":"b"}]`,
		`{"actions":[{"id":"a","description":"A"},{"id":"b"}]}`,
	},
	{
		"scaffolder:describe-scaffolder-action", `{"id":"a"}`, `GET /v2/actions`, `200 [{"id":"b"},{"id":"a","description":"A","schema":{"input":{"type":"object"}},"examples":[{"description":"d","example":"e"}]}]`,
		`{"id":"a","description":"A","schema":{"input":{"type":"object"}},"examples":[{"description":"d","example":"e"}]}`,
	},
	{"scaffolder:describe-scaffolder-action", `{"id":"b"}`, `GET /v2/actions`, `200 [{"id":"b"}]`, `{"id":"b","schema":{}}`},
	{"scaffolder:describe-scaffolder-action", `{"id":"c"}`, `GET /v2/actions`, `200 [{"id":"b"}]`, `fault: No action is called "c"`},
	{
		"scaffolder:list-templating-extensions", `{}`, `GET /v2/templating-extensions`,
		`200 {"filters":{"pick":{"description":"Picks.","examples":[{"example":"x | pick","notes":"n"}]},"bare":{}},"globals":{"functions":{"now":{"examples":[{"example":"now()"}]}},"values":{"home":{"value":null,"description":"Where."}}}}`,
		`{"filters":[{"name":"bare"},{"name":"pick","description":"Picks.","example":"x | pick\nn"}],"functions":[{"name":"now","example":"now()"}],"values":[{"name":"home","description":"Where."}]}`,
	},
}
