// The bench's job on Gin: `server ADDRESS DIRECTORY`.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A request may take this long.
const deadline = 30 * time.Second

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: server ADDRESS DIRECTORY")
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func serve(address, directory string) error {
	data, err := readData(directory)
	if err != nil {
		return err
	}
	quota := 1_000_000_000
	if text := os.Getenv("BENCH_QUOTA"); text != "" {
		if quota, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("BENCH_QUOTA: %w", err)
		}
	}

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           router(data, quota),
		ReadHeaderTimeout: deadline,
		WriteTimeout:      deadline,
	}
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Println("ready", address)

	select {
	case err := <-ended:
		return err
	case <-stopped.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

func router(data *data, quota int) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	// There is no proxy in front: the address is that of the connection.
	_ = engine.SetTrustedProxies(nil)

	engine.GET("/metrics", gin.WrapH(promhttp.Handler()))
	api := engine.Group("/", measure(), gin.Recovery(), identify(), limitAddress())
	api.GET("/health", func(c *gin.Context) { c.Status(http.StatusOK) })
	items := api.Group("/items", authenticate(data.keys), permit(data.permissions, "items.read"), limitSubject(quota))
	items.GET("/:id", func(c *gin.Context) {
		item, ok := data.items[c.Param("id")]
		if !ok {
			refuse(c, http.StatusNotFound)
			return
		}
		c.Header("ETag", fmt.Sprintf("%q", strconv.Itoa(item.Version)))
		c.JSON(http.StatusOK, item)
	})
	return engine
}

// refuse ends the request with a problem document (RFC 9457).
func refuse(c *gin.Context, status int) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, gin.H{"title": http.StatusText(status), "status": status})
}
