package browser

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Takes the pictures of the README into the folder that SCREENSHOTS names: 80 batches of a second, of lines whose number rises and
// falls, on a wide screen in the light and on a phone in the dark.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("SCREENSHOTS names no folder")
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("../..", folder)
	}
	p := pipeline(t, time.Second, "words")
	address := freeAddress(t)
	p.Printer("--http", address)
	publishWaves(t, p.Broker, p.Lines)
	p.Watch.Batches(80)

	picture := func(name string, width, height int64, scale float64, scheme string) {
		b := open(t, "http://"+address+"/")
		b.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		b.until("batches", `document.querySelectorAll("#rows tr").length === 20`)
		b.script(`document.querySelector("#last-words .word").click()`)
		b.until("the history of a word", `document.querySelector("#word-chart canvas")`)
		b.script("window.newest = document.querySelector('#newest').textContent")
		b.until("the next batch", "document.querySelector('#newest').textContent !== window.newest")
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), png, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	picture("page-light.png", 1280, 1240, 1.5, "light")
	picture("page-dark.png", 1280, 1240, 1.5, "dark")
	picture("page-phone.png", 390, 844, 2, "dark")
}

// publishWaves publishes lines of this project's own texts until the test ends, 100 to 700 a second.
func publishWaves(t *testing.T, broker, topic string) {
	t.Helper()
	var lines []string
	for _, file := range []string{"README.md", "docs/architecture.md", "docs/delivery.md", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); len(line) > 60 && !strings.ContainsAny(line, "|<{▶`'’") {
				lines = append(lines, line)
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		stop()
		<-done
		client.Close()
	})
	random := rand.New(rand.NewPCG(1, 2))
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			wave := 1 + 0.55*math.Sin(float64(i)/140) + 0.2*math.Sin(float64(i)/33) + 0.12*random.NormFloat64()
			for range int(max(wave, 0.1) * 18) {
				client.Produce(ctx, &kgo.Record{Value: []byte(lines[random.IntN(len(lines))])}, nil)
			}
		}
	}()
}
