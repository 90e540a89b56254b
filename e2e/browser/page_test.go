package browser

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wordcount/e2e"
	"wordcount/standalone/embedded"
)

// freeAddress is one at which nobody listens now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// pipeline starts a broker and a counter of batches that long.
func pipeline(t *testing.T, interval time.Duration, tokenizer string) *e2e.Pipeline {
	t.Helper()
	broker, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	p := e2e.NewPipeline(t, e2e.NewPrograms(t.TempDir()), broker.Addr(), interval, tokenizer)
	p.CreateLines(2)
	p.Counter()
	return p
}

// hostileWords are those that a page could take for something else.
var hostileWords = []string{
	"<script>window.pwned=1</script>",
	"<img/src=x/onerror=window.pwned=2>",
	`"'><svg/onload=window.pwned=3>`,
	"&lt;b&gt;",
	"\u202egnp.exe",
	strings.Repeat("long", 25_000),
}

func TestPage(t *testing.T) {
	chromium(t)
	p := pipeline(t, time.Second, "space")
	address := freeAddress(t)
	printer := p.Printer("--http", address)
	printer.Stderr.Wait(t, patience, "the page", func(text string) bool { return strings.Contains(text, "serving the live page") })
	b := open(t, "http://"+address+"/")

	// A batch comes, and the charts change with the next one.
	b.until("an open stream", `document.querySelector("#status").textContent === "Live"`)
	b.script("window.loaded = true")
	p.Publish("hello spark", "spark streaming")
	b.until("a batch with its words", `document.querySelector("#last-words, #recent-words").tBodies[0].innerText.includes("spark")
		&& [...document.querySelectorAll("#rows tr")].some(row => row.cells[1].textContent === "2")`)
	b.until("the charts", `["rate", "latency"].every(name => document.querySelector("#" + name + "-chart canvas")?.width > 100)`)
	const picture = `document.querySelector("#rate-chart canvas").toDataURL()`
	b.script("window.before = " + picture)
	b.script("window.rows = document.querySelector('#rows tr').textContent")
	p.Publish("spark spark spark spark")
	b.until("another picture", picture+" !== window.before && document.querySelector('#rows tr').textContent !== window.rows")

	// Whatever words hold, they are text.
	p.Publish(hostileWords...)
	b.until("the hostile words", fmt.Sprintf(`["<script>window.pwned=1</script>", "<img/src=x/onerror=window.pwned=2>", "&lt;b&gt;", "\\u{202e}gnp.exe", "%s…"]
		.every(word => [...document.querySelectorAll("#recent-words .word")].some(button => button.textContent === word))`, strings.Repeat("long", 50)))
	for _, word := range []string{"<script>", "long"} {
		b.script(fmt.Sprintf(`[...document.querySelectorAll("#recent-words .word")].find(button => button.textContent.startsWith(%q)).click()`, word))
		b.until("its history", fmt.Sprintf(`document.querySelector("#found").textContent.match(/^%s.*: 1 in the last \d+ batches$/)`, word))
	}
	if got := b.script("[window.pwned, document.scripts.length, document.querySelectorAll('main img, main svg').length, document.body.innerHTML.length < 100_000]"); got != ",2,0,true" {
		t.Errorf("what hostile words did: %s", got)
	}

	// A search with the keyboard alone.
	b.script(`document.querySelector("#word").value = ""`)
	b.do(chromedp.Focus(chromedp.CSS("#word")), chromedp.KeyEvent("spark"+kb.Enter))
	b.until("the history of spark", `document.querySelector("#found").textContent.startsWith("spark: 6 in")
		&& document.querySelector("#word-chart canvas") && [...document.querySelectorAll("#word-table tbody tr")].some(row => row.cells[1].textContent === "4")`)

	// Paused, the page stands still; then it shows what it missed.
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.script("window.newest = document.querySelector('#newest').textContent")
	p.Publish("paused")
	p.Watch.Counted(patience)
	if got := b.script("document.querySelector('#newest').textContent === window.newest && document.querySelector('#status').textContent"); got != "Paused" {
		t.Errorf("paused: %s", got)
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.until("what it missed", `document.querySelector("#recent-words").innerText.includes("paused")`)

	// The printer is killed and starts again; the page is not loaded again.
	printer.Kill()
	b.until("a lost stream", `document.querySelector("#status").textContent === "Reconnecting"`)
	p.Publish("meanwhile")
	printer = p.Printer("--http", address)
	b.until("the stream again", `document.querySelector("#status").textContent === "Live"
		&& document.querySelector("#recent-words").innerText.includes("meanwhile")`)
	p.Publish("afterwards")
	b.until("batches again", `document.querySelector("#recent-words").innerText.includes("afterwards")`)
	ends := b.script(`[...document.querySelectorAll("#rows th")].map(th => th.textContent)`)
	if times := strings.Split(ends, ","); !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) || len(slices.Compact(times)) != len(strings.Split(ends, ",")) {
		t.Errorf("batches: %s", ends)
	}
	if b.script("window.loaded") != "true" {
		t.Error("the page was loaded again")
	}
	accessible(b)

	// On a phone nothing is wider than the screen.
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.until("the width of a phone", "innerWidth === 360 && document.documentElement.scrollWidth === 360")
	printer.Stop()
}

// accessible looks at the page as assistive technology does.
func accessible(b *tab) {
	b.Helper()
	roles := make(map[string]int)
	value := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		return strings.Trim(string(v.Value), `"`)
	}
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored {
			continue
		}
		role := value(node.Role)
		roles[role]++
		switch role {
		case "button", "link", "searchbox", "table", "img", "image", "region", "heading":
			if value(node.Name) == "" {
				b.Errorf("a %s without a name", role)
			}
		}
	}
	for _, role := range []string{"banner", "main", "contentinfo", "search", "searchbox", "table", "columnheader", "rowheader", "status", "button", "heading"} {
		if roles[role] == 0 {
			b.Errorf("no %s; there are %v", role, roles)
		}
	}
}
