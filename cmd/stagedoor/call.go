package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/source"
)

func (p *program) actionsCall(w *where) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "call ID",
		Short: "Call an action, or show the request that it would send",
		Example: `  stagedoor actions call catalog:get-catalog-entity --input '{"name":"checkout-service"}'
  stagedoor actions call spec:get-pet --spec openapi.yaml --base-url https://pets.internal --input @pet.json --dry-run`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	input := cmd.Flags().String("input", "{}", "arguments as `JSON`; @file reads a file, - standard input")
	dryRun := cmd.Flags().Bool("dry-run", false, "print the request instead of sending it; secrets are masked")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *dryRun && w.url != "" {
			return errors.New("--dry-run needs --config or --spec: a running server does not show its requests")
		}
		if w.spec != "" && w.baseURL == "" && !source.IsURL(w.spec) {
			return errors.New("--base-url is needed: a document in a file does not say where its API is")
		}
		return nil
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		arguments, err := p.readInput(*input)
		if err != nil {
			return err
		}
		if w.url != "" {
			server, err := p.asked(cmd.Context(), w)
			if err != nil {
				return err
			}
			result, err := server.call(cmd.Context(), args[0], arguments)
			if err != nil {
				return err
			}
			return p.printResult(result, *asJSON)
		}
		var options []gateway.Option
		if *dryRun {
			options = append(options, gateway.Offline())
		}
		g, err := p.gatewayOf(cmd.Context(), w, options...)
		if err != nil {
			return err
		}
		defer g.Close()
		if *dryRun {
			req, err := g.Preview(cmd.Context(), w.id(args[0]), arguments)
			if err != nil {
				return err
			}
			return p.printRequest(req, *asJSON)
		}
		result, err := g.Call(cmd.Context(), w.id(args[0]), arguments)
		if err != nil {
			return err
		}
		return p.printResult(result, *asJSON)
	})
	return cmd
}

// readInput gives the arguments of --input.
func (p *program) readInput(input string) (json.RawMessage, error) {
	var data []byte
	var err error
	switch {
	case input == "-":
		data, err = io.ReadAll(p.stdin)
	case strings.HasPrefix(input, "@"):
		data, err = os.ReadFile(input[1:])
	default:
		data = []byte(input)
	}
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if !json.Valid(data) {
		return nil, errors.New("input is not JSON")
	}
	return data, nil
}

// requestView is a request as --dry-run shows it: the body as it would be
// sent, in base64 where it is not UTF-8.
type requestView struct {
	Method     string            `json:"method"`
	URL        string            `json:"url"`
	Headers    map[string]string `json:"headers"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 *string           `json:"bodyBase64,omitempty"`
}

func (p *program) printRequest(req *http.Request, asJSON bool) error {
	v := requestView{Method: req.Method, URL: req.URL.String(), Headers: map[string]string{}}
	for name, values := range req.Header {
		v.Headers[name] = strings.Join(values, ", ")
	}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		if text := string(body); utf8.ValidString(text) {
			v.Body = &text
		} else {
			text = base64.StdEncoding.EncodeToString(body)
			v.BodyBase64 = &text
		}
	}
	if asJSON {
		return p.printJSON(v)
	}
	fmt.Fprintf(p.stdout, "%s %s\n", v.Method, v.URL)
	if err := req.Header.Write(p.stdout); err != nil {
		return err
	}
	if v.Body != nil {
		fmt.Fprintf(p.stdout, "\n%s\n", *v.Body)
	}
	return nil
}

// printResult prints JSON, indented, text or bytes: as they are, or as a JSON
// string (bytes in base64). What is missing of the result goes to standard error.
func (p *program) printResult(r *gateway.Result, asJSON bool) (err error) {
	switch {
	case r.JSON != nil:
		err = p.printJSON(r.JSON)
	case r.Binary != nil && asJSON:
		err = p.printJSON(r.Binary)
	case r.Binary != nil:
		_, err = p.stdout.Write(r.Binary)
	case asJSON:
		err = p.printJSON(r.Text)
	default:
		_, err = fmt.Fprintln(p.stdout, r.Text)
	}
	if r.Note != "" {
		fmt.Fprintln(p.stderr, r.Note)
	}
	return err
}
