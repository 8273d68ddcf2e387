package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// anyRefusal stands for all decisions but one.
const anyRefusal = "refused"

func (p *program) audit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who called what, and what was refused",
		Long: `Reads the records that gateways with audit.database: on have kept in the config's
database, the newest last. No gateway has to run, and nothing is changed.
With --json each record is a line.`,
		Example: "  stagedoor audit --since 1h --decision refused\n  stagedoor audit --subject user:default/ada --json\n  stagedoor audit --follow",
		Args:    cobra.NoArgs,
	}
	path, asJSON := configFlag(cmd), jsonFlag(cmd)
	flags := cmd.Flags()
	var q gateway.AuditQuery
	since := flags.String("since", "24h", "records since this `time`: so long ago, or like 2026-01-31T12:00:00Z")
	until := flags.String("until", "", "records before this `time`")
	flags.StringVar(&q.Subject, "subject", "", "calls of this `subject`")
	flags.StringVar(&q.Server, "server", "", "calls by this `server`, or actions-api or registry")
	flags.StringVar(&q.Action, "action", "", "calls of this action, by its `id`")
	flags.StringVar(&q.Plugin, "plugin", "", "calls of actions of this `plugin`")
	decision := flags.String("decision", "", "calls of this `decision`: "+strings.Join(decisions(), ", "))
	flags.IntVar(&q.Limit, "limit", 100, "at most this many, the newest")
	follow := flags.BoolP("follow", "f", false, "wait for more, until interrupted")
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		now := time.Now()
		if q.Since, err = instant("--since", *since, now); err != nil {
			return err
		}
		if q.Until, err = instant("--until", *until, now); err != nil {
			return err
		}
		if q.Limit < 1 {
			return errors.New("--limit: expected a number above 0")
		}
		q.Decisions, err = decided(*decision)
		return err
	}
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		file, err := p.load(cmd.Context(), *path)
		if err != nil {
			return err
		}
		if *follow {
			return located(file, gateway.FollowAudit(cmd.Context(), file.Config, q, func(r gateway.AuditRecord) error {
				return printRecords(p.stdout, []gateway.AuditRecord{r}, *asJSON, false)
			}))
		}
		records, err := gateway.ReadAudit(cmd.Context(), file.Config, q)
		if err != nil {
			return located(file, err)
		}
		return printRecords(p.stdout, records, *asJSON, true)
	})
	return cmd
}

func decisions() (names []string) {
	for _, d := range audit.Decisions() {
		names = append(names, string(d))
	}
	return append(names, anyRefusal)
}

// decided are the decisions that a word stands for; "" for any.
func decided(word string) (of []audit.Decision, err error) {
	for _, d := range audit.Decisions() {
		if word == string(d) || word == anyRefusal && d != audit.Allowed {
			of = append(of, d)
		}
	}
	if len(of) == 0 && word != "" {
		return nil, fmt.Errorf("--decision: unknown decision %q: %s", word, suggest.Hint(word, decisions()))
	}
	return of, nil
}

// instant reads a time, or how long ago it is; "" is no time.
func instant(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%s: expected how long ago, like 24h, or a time, like 2026-01-31T12:00:00Z, got %q", flag, text)
}

// printRecords prints records as JSON lines, or as rows for people.
func printRecords(w io.Writer, records []gateway.AuditRecord, asJSON, aligned bool) error {
	if asJSON {
		for _, r := range records {
			line, err := json.Marshal(r)
			if err == nil {
				_, err = fmt.Fprintf(w, "%s\n", escaped(line))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if !aligned {
		for _, r := range records {
			if _, err := fmt.Fprintln(w, strings.Join(cells(r), "  ")); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tSERVER\tWHO\tWHAT\tDECISION\tOUTCOME\tDURATION\tRULE\tARGUMENTS\tREF")
	for _, r := range records {
		fmt.Fprintln(table, strings.Join(cells(r), "\t"))
	}
	return table.Flush()
}

// cells is a record for people.
func cells(r gateway.AuditRecord) []string {
	who := r.Subject
	if r.Actor != "" {
		who += " by " + r.Actor
	}
	outcome := r.Outcome
	if r.Status != 0 {
		outcome += " " + strconv.Itoa(r.Status)
	}
	if r.Count > 1 {
		outcome += " \u00D7" + strconv.Itoa(r.Count)
	}
	row := []string{
		r.Time.Local().Format("2006-01-02 15:04:05"), r.Server, who, cmp.Or(r.Action, r.Tool, r.Plugin, r.Method), string(r.Decision), outcome,
		r.Duration.Round(time.Millisecond / 10).String(), r.Rule, r.Arguments, r.Ref,
	}
	for i, s := range row {
		row[i] = cmp.Or(legible(s), "-")
	}
	return row
}

// legible writes out what would play with a terminal: records have names that
// callers chose.
func legible(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	return quoted[1 : len(quoted)-1]
}

// escaped writes JSON without characters that would play with a terminal.
func escaped(line []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(line) {
		switch {
		case unicode.IsGraphic(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}
