package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kcat lists the topic and reads what it wrote, with the broker's times.
func TestKcat(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed (apt-get install kcat)")
	}
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	run := func(stdin string, args ...string) string {
		return runTool(t, exec.CommandContext(testContext(t), kcat, append([]string{"-b", b.Addr()}, args...)...), stdin)
	}
	run("hello spark\nhello streaming\n", "-P", "-t", "lines")
	if out := run("", "-L"); !strings.Contains(out, `topic "lines" with 1 partitions`) {
		t.Errorf("kcat -L:\n%s", out)
	}
	// -Q asks for the offset at a time: everything was appended after the producer's time long ago.
	if out := run("", "-Q", "-t", "lines:0:1000000000000"); !strings.Contains(out, "lines [0] offset 0") {
		t.Errorf("kcat -Q:\n%s", out)
	}
	if out := run("", "-C", "-t", "lines", "-o", "beginning", "-e", "-X", "check.crcs=true", "-f", "%o %s\n"); out != "0 hello spark\n1 hello streaming\n" {
		t.Errorf("kcat -C:\n%s", out)
	}
}

// TestJavaTools runs Kafka's own tools. It wants the jars of org.apache.kafka:kafka_2.13 and kafka-tools 4.3.1 with
// their dependencies in the folder KAFKA_TOOLS_LIB, as `mvn dependency:copy-dependencies` puts them there.
func TestJavaTools(t *testing.T) {
	lib := os.Getenv("KAFKA_TOOLS_LIB")
	if lib == "" {
		t.Skip("KAFKA_TOOLS_LIB is not set")
	}
	b := start(t)
	run := func(stdin, class string, args ...string) string {
		args = append([]string{"-XX:TieredStopAtLevel=1", "-cp", filepath.Join(lib, "*"), class, "--bootstrap-server", b.Addr()}, args...)
		return runTool(t, exec.CommandContext(testContext(t), "java", args...), stdin)
	}
	const tools = "org.apache.kafka.tools."
	for _, step := range []struct {
		stdin, class string
		args         string
		want         []string
	}{
		{"", tools + "TopicCommand", "--create --topic lines --partitions 2 --config message.timestamp.type=LogAppendTime", nil},
		{"", tools + "TopicCommand", "--list", []string{"lines\n"}},
		{"", tools + "TopicCommand", "--describe --topic lines", []string{"PartitionCount: 2", "message.timestamp.type=LogAppendTime"}},
		{"hello spark\n", tools + "ConsoleProducer", "--topic lines", nil},
		{"", tools + "consumer.ConsoleConsumer", "--topic lines --group g --from-beginning --isolation-level read_committed --max-messages 1 --formatter-property print.timestamp=true",
			[]string{"LogAppendTime:", "\thello spark\n"}},
		{"", tools + "consumer.group.ConsumerGroupCommand", "--list", []string{"g\n"}},
		{"", tools + "consumer.group.ConsumerGroupCommand", "--describe --group g", []string{"LOG-END-OFFSET"}},
		{"", tools + "GetOffsetShell", "--topic lines --time 1000000000000", []string{"lines:"}},
		{"", "kafka.admin.ConfigCommand", "--entity-type topics --entity-name lines --describe", []string{"message.timestamp.type=LogAppendTime"}},
	} {
		out := run(step.stdin, step.class, strings.Fields(step.args)...)
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s: no %q in\n%s", step.class, step.args, want, out)
			}
		}
	}
}

// runTool returns what the command wrote to its standard output.
func runTool(t *testing.T, cmd *exec.Cmd, stdin string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
