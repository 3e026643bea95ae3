package config

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/units"
)

// settings is the table: every setting there is, in the order of the file.
func settings() []setting {
	return slices.Concat(doors(), people(), limits(), store(), upkeep())
}

// doors are how others reach the appliance.
func doors() []setting {
	return []setting{
		{
			"listen.https", AutoHTTPS, "HOST:PORT of the console and the API; auto is " + Console + " while that is free; off for none",
			func(c *Config) string { return shown(c.ListenHTTPS) },
			func(c *Config, v string) (err error) { c.ListenHTTPS, err = https(v); return },
		},
		{
			"listen.http", "off", "the same without TLS, and /metrics without a token: 127.0.0.1:PORT, or off",
			func(c *Config) string { return shown(c.ListenHTTP) },
			func(c *Config, v string) (err error) { c.ListenHTTP, err = loopback(v); return },
		},
		{
			"listen.hosts", "", "more names and addresses by which browsers reach this machine",
			func(c *Config) string { return strings.Join(c.Hosts, ",") },
			func(c *Config, v string) (err error) { c.Hosts, err = hosts(v); return },
		},
		{
			"tls.cert", "", "a certificate of your own, PEM, with its chain; without it the appliance has a site CA",
			func(c *Config) string { return c.TLSCert },
			func(c *Config, v string) (err error) { c.TLSCert, err = absolute(v); return },
		},
		{
			"tls.key", "", "its private key, PEM, not encrypted",
			func(c *Config) string { return c.TLSKey },
			func(c *Config, v string) (err error) { c.TLSKey, err = absolute(v); return },
		},
		{
			"socket.path", "", "default run/sallyport.sock in the data directory",
			func(c *Config) string { return c.Socket },
			func(c *Config, v string) (err error) { c.Socket, err = absolute(v); return err },
		},
		{
			"socket.groups", "", "a group, by name or number, whose members may use the socket, besides root and the daemon's user: they operate and approve, or have the roles of GROUP:ROLE+ROLE",
			func(c *Config) string { return strings.Join(c.SocketGroups, ",") },
			func(c *Config, v string) error { c.SocketGroups = list(v); return nil },
		},
	}
}

// people are what is asked of people, and how often a stick arrives.
func people() []setting {
	return []setting{
		{
			"approvals.import", "1", "people who must say yes to an import: 0, 1 or 2",
			func(c *Config) string { return strconv.Itoa(c.Approvals) },
			func(c *Config, v string) (err error) { c.Approvals, err = parseInt(v, 0, 2); return },
		},
		{
			"approvals.expire", "7d", "how long an approval waits for the other one",
			func(c *Config) string { return age(c.Expire) },
			func(c *Config, v string) (err error) { c.Expire, err = units.ParseDuration(v); return },
		},
		{
			"delivery.every", "14d", "how often a stick arrives",
			func(c *Config) string { return age(c.Every) },
			func(c *Config, v string) (err error) { c.Every, err = units.ParseDuration(v); return },
		},
	}
}

// limits bound what is done at a time.
func limits() []setting {
	return []setting{
		{
			"limits.workers", "0", "goroutines that compress; 0 is one per core",
			func(c *Config) string { return strconv.Itoa(c.Workers) },
			func(c *Config, v string) (err error) { c.Workers, err = parseInt(v, 0, 256); return },
		},
		{
			"limits.runs", "0", "export runs at a time; 0 is one per two cores",
			func(c *Config) string { return strconv.Itoa(c.Runs) },
			func(c *Config, v string) (err error) { c.Runs, err = parseInt(v, 0, 64); return },
		},
		{
			"limits.rate", "200", "requests a second from one address, and with one API token",
			func(c *Config) string { return strconv.Itoa(c.Rate) },
			func(c *Config, v string) (err error) { c.Rate, err = parseInt(v, 1, 1000000); return },
		},
		{
			"limits.connections", "4096", "connections over the network at a time; three eighths of them from one address",
			func(c *Config) string { return strconv.Itoa(c.Connections) },
			func(c *Config, v string) (err error) { c.Connections, err = parseInt(v, 16, 1000000); return },
		},
		{
			"limits.streams", "1000", "pages that follow along live at a time; three fifths of them from one address",
			func(c *Config) string { return strconv.Itoa(c.Streams) },
			func(c *Config, v string) (err error) { c.Streams, err = parseInt(v, 10, 1000000); return },
		},
		{
			"limits.uploads", "32GiB", "bytes that the uploads of one tenant may take at a time; each is removed 72 hours after its last byte",
			func(c *Config) string { return size(c.Uploads) },
			func(c *Config, v string) (err error) { c.Uploads, err = units.ParseSize(v); return },
		},
	}
}

// store is about the disk.
func store() []setting {
	return []setting{
		{
			"store.reserve", "auto", "bytes of the disk that loads and imports leave free; auto is a tenth, or 2GiB where that is less",
			func(c *Config) string { return reserve(c.Reserve) },
			func(c *Config, v string) (err error) { c.Reserve, err = parseReserve(v); return },
		},
		{
			"store.ballast", "64MiB", "bytes that are given back when the disk is full, so that pruning goes on; at most a 32nd of the disk",
			func(c *Config) string { return size(c.Ballast) },
			func(c *Config, v string) (err error) { c.Ballast, err = units.ParseSize(v); return },
		},
		{
			"store.scrub", "20GiB", "bytes a day that are read again and proven in the background; 0 is none",
			func(c *Config) string { return size(c.Scrub) },
			func(c *Config, v string) (err error) { c.Scrub, err = units.ParseSize(v); return },
		},
	}
}

// upkeep is about logs and what is kept.
func upkeep() []setting {
	return []setting{
		{
			"log.level", "info", "debug, info, warn or error",
			func(c *Config) string { return c.LogLevel },
			func(c *Config, v string) (err error) {
				c.LogLevel, err = oneOf(v, "debug", "info", "warn", "error")
				return
			},
		},
		{
			"log.format", "auto", "auto (text on a terminal, else JSON), json or text",
			func(c *Config) string { return c.LogFormat },
			func(c *Config, v string) (err error) { c.LogFormat, err = oneOf(v, "auto", "json", "text"); return },
		},
		{
			"retention.logDays", "30", "days that logs are kept",
			func(c *Config) string { return strconv.Itoa(c.LogDays) },
			func(c *Config, v string) (err error) { c.LogDays, err = parseInt(v, 1, 36500); return },
		},
		{
			"ExportCenter.Retention.Mirror.Mode", "days", "days or count",
			func(c *Config) string { return c.Mirror.Mode },
			func(c *Config, v string) (err error) { c.Mirror.Mode, err = oneOf(v, "days", "count"); return },
		},
		{
			"ExportCenter.Retention.Mirror.Value", "30", "how many",
			func(c *Config) string { return strconv.Itoa(c.Mirror.Value) },
			func(c *Config, v string) (err error) { c.Mirror.Value, err = parseInt(v, 1, 36500); return },
		},
		{
			"ExportCenter.Retention.Trivy.Mode", "count", "days or count",
			func(c *Config) string { return c.Trivy.Mode },
			func(c *Config, v string) (err error) { c.Trivy.Mode, err = oneOf(v, "days", "count"); return },
		},
		{
			"ExportCenter.Retention.Trivy.Value", "10", "how many",
			func(c *Config) string { return strconv.Itoa(c.Trivy.Value) },
			func(c *Config, v string) (err error) { c.Trivy.Value, err = parseInt(v, 1, 36500); return },
		},
	}
}

// file is config.yaml as people write it. Scalars are read as text and judged by the table.
type file struct {
	APIVersion string `yaml:"apiVersion"`
	Listen     struct {
		HTTPS *string  `yaml:"https"`
		HTTP  *string  `yaml:"http"`
		Hosts []string `yaml:"hosts"`
	} `yaml:"listen"`
	TLS struct {
		Cert *string `yaml:"cert"`
		Key  *string `yaml:"key"`
	} `yaml:"tls"`
	Socket struct {
		Path   *string  `yaml:"path"`
		Groups []string `yaml:"groups"`
	} `yaml:"socket"`
	Approvals struct {
		Import *string `yaml:"import"`
		Expire *string `yaml:"expire"`
	} `yaml:"approvals"`
	Delivery struct {
		Every *string `yaml:"every"`
	} `yaml:"delivery"`
	Limits struct {
		Workers *string `yaml:"workers"`
		Runs    *string `yaml:"runs"`

		Rate        *string `yaml:"rate"`
		Connections *string `yaml:"connections"`
		Streams     *string `yaml:"streams"`
		Uploads     *string `yaml:"uploads"`
	} `yaml:"limits"`
	Store struct {
		Reserve *string `yaml:"reserve"`
		Ballast *string `yaml:"ballast"`
		Scrub   *string `yaml:"scrub"`
	} `yaml:"store"`
	Log struct {
		Level  *string `yaml:"level"`
		Format *string `yaml:"format"`
	} `yaml:"log"`
	Retention struct {
		LogDays *string `yaml:"logDays"`
	} `yaml:"retention"`
	ExportCenter struct {
		Retention struct {
			Mirror keep `yaml:"Mirror"`
			Trivy  keep `yaml:"Trivy"`
		} `yaml:"Retention"`
	} `yaml:"ExportCenter"`
}

type keep struct {
	Mode  *string `yaml:"Mode"`
	Value *string `yaml:"Value"`
}

type given struct {
	name  string
	value *string
}

// values pairs what a file may say with the names of the table.
func (f *file) values() []given {
	all := []given{
		{"listen.https", f.Listen.HTTPS},
		{"listen.http", f.Listen.HTTP},
		{"tls.cert", f.TLS.Cert},
		{"tls.key", f.TLS.Key},
		{"socket.path", f.Socket.Path},
		{"approvals.import", f.Approvals.Import},
		{"approvals.expire", f.Approvals.Expire},
		{"delivery.every", f.Delivery.Every},
		{"limits.workers", f.Limits.Workers},
		{"limits.runs", f.Limits.Runs},
		{"limits.rate", f.Limits.Rate},
		{"limits.connections", f.Limits.Connections},
		{"limits.streams", f.Limits.Streams},
		{"limits.uploads", f.Limits.Uploads},
		{"store.reserve", f.Store.Reserve},
		{"store.ballast", f.Store.Ballast},
		{"store.scrub", f.Store.Scrub},
		{"log.level", f.Log.Level},
		{"log.format", f.Log.Format},
		{"retention.logDays", f.Retention.LogDays},
		{"ExportCenter.Retention.Mirror.Mode", f.ExportCenter.Retention.Mirror.Mode},
		{"ExportCenter.Retention.Mirror.Value", f.ExportCenter.Retention.Mirror.Value},
		{"ExportCenter.Retention.Trivy.Mode", f.ExportCenter.Retention.Trivy.Mode},
		{"ExportCenter.Retention.Trivy.Value", f.ExportCenter.Retention.Trivy.Value},
	}
	if f.Socket.Groups != nil { // an empty list is a word too
		groups := strings.Join(f.Socket.Groups, ",")
		all = append(all, given{"socket.groups", &groups})
	}
	if f.Listen.Hosts != nil {
		hosts := strings.Join(f.Listen.Hosts, ",")
		all = append(all, given{"listen.hosts", &hosts})
	}
	return all
}
