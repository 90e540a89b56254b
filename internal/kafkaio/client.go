package kafkaio

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/sasl"
)

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second // what a broker may take for one answer, long polls apart
	metadataTTL    = time.Second      // so long a moved leader may go unnoticed
)

// Config is how a Client reaches its cluster.
type Config struct {
	Brokers  []string       // host:port of at least one broker
	ClientID string         // shown in the brokers' logs, metrics and quotas
	Topics   []string       // keep the metadata of these topics only; none: of all
	TLS      *tls.Config    // nil: plain connections
	SASL     sasl.Mechanism // nil: none
	Logger   *slog.Logger   // nil: no log
}

// Client is a connection pool to one cluster. It is safe for concurrent use.
type Client struct {
	cfg       Config
	log       *slog.Logger
	addr      net.Addr
	transport *kafka.Transport

	mu           sync.Mutex
	coordinators map[coordinatorKey]int32
	found        map[string]foundLeaders // by topic
}

// NewClient returns a client that connects when it is first used.
func NewClient(cfg Config) *Client {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Client{
		cfg:  cfg,
		log:  log,
		addr: kafka.TCP(cfg.Brokers...),
		transport: &kafka.Transport{
			Dial:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			DialTimeout:    dialTimeout,
			MetadataTTL:    metadataTTL,
			MetadataTopics: cfg.Topics,
			ClientID:       cfg.ClientID,
			TLS:            cfg.TLS,
			SASL:           cfg.SASL,
		},
		coordinators: make(map[coordinatorKey]int32),
		found:        make(map[string]foundLeaders),
	}
}

// Close closes the idle connections; those in use close when their answer is in.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// roundTrip sends one request and waits at most timeout for its answer.
func (c *Client) roundTrip(ctx context.Context, req protocol.Message, timeout time.Duration) (protocol.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.transport.RoundTrip(ctx, c.addr, req)
}

// send exchanges x with the broker it names.
func (c *Client) send(ctx context.Context, x *exchange, timeout time.Duration) error {
	_, err := c.roundTrip(ctx, c.route(x, x.broker), timeout)
	return err
}

// coordinatorKey names a group or a transactional id.
type coordinatorKey struct {
	name string
	kind kafka.CoordinatorKeyType
}

func groupKey(group string) coordinatorKey {
	return coordinatorKey{group, kafka.CoordinatorKeyTypeConsumer}
}

func transactionKey(id string) coordinatorKey {
	return coordinatorKey{id, kafka.CoordinatorKeyTypeTransaction}
}

// toCoordinator sends a request to the coordinator of key, found once and looked up again after any failure.
// kafka-go's own routing asks for the coordinator before every request.
func (c *Client) toCoordinator(ctx context.Context, key coordinatorKey, req protocol.Message) (protocol.Message, error) {
	return c.toCoordinatorWithin(ctx, key, req, requestTimeout)
}

func (c *Client) toCoordinatorWithin(ctx context.Context, key coordinatorKey, req protocol.Message, timeout time.Duration) (protocol.Message, error) {
	c.mu.Lock()
	broker, known := c.coordinators[key]
	c.mu.Unlock()
	if !known {
		m, err := c.roundTrip(ctx, &findcoordinator.Request{Key: key.name, KeyType: int8(key.kind)}, requestTimeout)
		if err != nil {
			return nil, err
		}
		found := m.(*findcoordinator.Response)
		if found.ErrorCode != 0 {
			return nil, kafka.Error(found.ErrorCode)
		}
		broker = found.NodeID
		c.mu.Lock()
		c.coordinators[key] = broker
		c.mu.Unlock()
	}
	m, err := c.roundTrip(ctx, c.route(req, broker), timeout)
	if err != nil {
		c.forgetCoordinator(key)
	}
	return m, err
}

// route addresses a request to a broker.
func (c *Client) route(req protocol.Message, broker int32) protocol.Message {
	if x, ok := req.(*exchange); ok {
		x.broker, x.clientID = broker, c.cfg.ClientID
		return x
	}
	return &direct{Message: req, broker: broker, clientID: c.cfg.ClientID}
}

func (c *Client) forgetCoordinator(key coordinatorKey) {
	c.mu.Lock()
	delete(c.coordinators, key)
	c.mu.Unlock()
}

// coordinated turns an error code of a coordinator into an error, and looks the coordinator up again when it has moved.
func (c *Client) coordinated(key coordinatorKey, code int16) error {
	switch kafka.Error(code) {
	case 0:
		return nil
	case kafka.NotCoordinatorForGroup, kafka.GroupCoordinatorNotAvailable:
		c.forgetCoordinator(key)
	}
	return kafka.Error(code)
}
