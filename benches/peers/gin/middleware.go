package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

const (
	subjectKey = "subject"
	// Entries of a cache at most.
	entries = 65_536
	// A verified token is believed this long at most.
	believed = time.Minute
	// What one network address may send in a minute.
	addressQuota = 1_000_000_000
)

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Answered requests.",
	}, []string{"route", "status"})
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time to answer a request.",
	}, []string{"route"})
)

func measure() gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		c.Next()
		durations.WithLabelValues(c.FullPath()).Observe(time.Since(start).Seconds())
		requests.WithLabelValues(c.FullPath(), strconv.Itoa(c.Writer.Status())).Inc()
	}
}

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$`)

// identify gives the request an id, a trace context, a deadline, and the answer its fixed headers.
func identify() gin.HandlerFunc {
	return func(c *gin.Context) {
		id, err := uuid.NewV7()
		if err != nil {
			refuse(c, http.StatusInternalServerError)
			return
		}
		c.Header("X-Request-Id", id.String())
		c.Header("Traceparent", childOf(c.GetHeader("Traceparent")))
		c.Header("Cache-Control", "private, no-cache")
		c.Header("X-Content-Type-Options", "nosniff")
		c.Header("X-Frame-Options", "DENY")
		c.Header("Referrer-Policy", "no-referrer")
		c.Header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

		ctx, cancel := context.WithTimeout(c.Request.Context(), deadline)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// childOf is a new span of the caller's trace, or of a new one (W3C Trace Context).
func childOf(parent string) string {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	trace, flags := hex.EncodeToString(random[8:]), "01"
	if parts := traceparent.FindStringSubmatch(parent); parts != nil {
		trace, flags = parts[1], parts[2]
	}
	return "00-" + trace + "-" + hex.EncodeToString(random[:8]) + "-" + flags
}

// authenticate verifies the bearer token, or finds it among the verified ones.
func authenticate(keys map[string]ed25519.PublicKey) gin.HandlerFunc {
	verified := expirable.NewLRU[string, *jwt.RegisteredClaims](entries, nil, believed)
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer("https://bench.invalid"),
		jwt.WithExpirationRequired(),
	)
	keyOf := func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if key, ok := keys[kid]; ok {
			return key, nil
		}
		return nil, errors.New("unknown key")
	}
	return func(c *gin.Context) {
		token, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
		if !ok {
			refuse(c, http.StatusUnauthorized)
			return
		}
		claims, ok := verified.Get(token)
		if !ok || !time.Now().Before(claims.ExpiresAt.Time) {
			claims = &jwt.RegisteredClaims{}
			if _, err := parser.ParseWithClaims(token, claims, keyOf); err != nil {
				refuse(c, http.StatusUnauthorized)
				return
			}
			verified.Add(token, claims)
		}
		c.Set(subjectKey, claims.Subject)
	}
}

func permit(permissions map[string]map[string]bool, permission string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !permissions[c.GetString(subjectKey)][permission] {
			refuse(c, http.StatusForbidden)
		}
	}
}

// buckets holds a token bucket for each of the keys seen last.
type buckets struct {
	perMinute int
	known     *lru.Cache[string, *rate.Limiter]
}

func newBuckets(perMinute int) *buckets {
	known, err := lru.New[string, *rate.Limiter](entries)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &buckets{perMinute, known}
}

// of finds the bucket of a key; two first requests at the same time share one.
func (b *buckets) of(key string) *rate.Limiter {
	if limiter, ok := b.known.Get(key); ok {
		return limiter
	}
	limiter := rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)
	if earlier, ok, _ := b.known.PeekOrAdd(key, limiter); ok {
		return earlier
	}
	return limiter
}

func limitAddress() gin.HandlerFunc {
	addresses := newBuckets(addressQuota)
	return func(c *gin.Context) {
		if !addresses.of(c.ClientIP()).Allow() {
			c.Header("Retry-After", "1")
			refuse(c, http.StatusTooManyRequests)
		}
	}
}

func limitSubject(quota int) gin.HandlerFunc {
	subjects := newBuckets(quota)
	policy := fmt.Sprintf(`"subject";q=%d;w=60`, quota)
	perSecond := float64(quota) / 60
	return func(c *gin.Context) {
		limiter := subjects.of(c.GetString(subjectKey))
		allowed := limiter.Allow()
		left := limiter.Tokens()
		full := math.Ceil((float64(quota) - left) / perSecond)
		c.Header("RateLimit-Policy", policy)
		c.Header("RateLimit", fmt.Sprintf(`"subject";r=%d;t=%d`, int(max(left, 0)), int(full)))
		if !allowed {
			c.Header("Retry-After", strconv.Itoa(int(math.Ceil((1-left)/perSecond))))
			refuse(c, http.StatusTooManyRequests)
		}
	}
}
