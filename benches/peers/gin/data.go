package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Item is what the bench serves.
type Item struct {
	ID        string   `json:"id"`
	Tenant    string   `json:"tenant"`
	Title     string   `json:"title"`
	Body      string   `json:"body"`
	Tags      []string `json:"tags"`
	Author    string   `json:"author"`
	Version   int      `json:"version"`
	CreatedAt string   `json:"created_at"`
}

type data struct {
	keys        map[string]ed25519.PublicKey
	permissions map[string]map[string]bool
	items       map[string]*Item
}

func readData(directory string) (*data, error) {
	var jwks struct {
		Keys []struct{ Kid, X string }
	}
	var granted map[string][]string
	var items []*Item
	for name, value := range map[string]any{
		"jwks.json": &jwks, "permissions.json": &granted, "items.json": &items,
	} {
		text, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}

	read := &data{
		keys:        map[string]ed25519.PublicKey{},
		permissions: map[string]map[string]bool{},
		items:       map[string]*Item{},
	}
	for _, key := range jwks.Keys {
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("jwks.json: bad key %s", key.Kid)
		}
		read.keys[key.Kid] = x
	}
	for subject, names := range granted {
		read.permissions[subject] = map[string]bool{}
		for _, name := range names {
			read.permissions[subject][name] = true
		}
	}
	for _, item := range items {
		read.items[item.ID] = item
	}
	return read, nil
}
