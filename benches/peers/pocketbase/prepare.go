package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/security"
	"github.com/pocketbase/pocketbase/tools/types"
)

const accounts = 16

// prepare fills an empty database, and writes a token of each account.
func prepare(app core.App, directory string) error {
	if err := app.RunAllMigrations(); err != nil {
		return err
	}
	settings := app.Settings()
	settings.Logs.MaxDays = 0 // no access log
	settings.RateLimits.Enabled = true
	settings.RateLimits.Rules = []core.RateLimitRule{
		{Label: "/api/", MaxRequests: 1_000_000_000, Duration: 60},
	}
	if err := app.Save(settings); err != nil {
		return err
	}
	return app.RunInTransaction(func(app core.App) error {
		if err := addItems(app, filepath.Join(directory, "items.json")); err != nil {
			return err
		}
		return addAccounts(app, filepath.Join(directory, "tokens-pocketbase.txt"))
	})
}

func addItems(app core.App, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var items []map[string]any
	if err := json.Unmarshal(text, &items); err != nil {
		return err
	}

	collection := core.NewBaseCollection("items")
	collection.ViewRule = types.Pointer(`@request.auth.id != ""`)
	id := collection.Fields.GetByName("id").(*core.TextField)
	id.Min, id.Max, id.Pattern = 36, 36, `^[0-9a-f-]+$`
	id.AutogeneratePattern = `[0-9a-f]{36}`
	collection.Fields.Add(
		&core.TextField{Name: "tenant"},
		&core.TextField{Name: "title"},
		&core.TextField{Name: "body"},
		&core.JSONField{Name: "tags"},
		&core.TextField{Name: "author"},
		&core.NumberField{Name: "version", OnlyInt: true},
		&core.TextField{Name: "created_at"},
	)
	if err := app.Save(collection); err != nil {
		return err
	}
	for _, item := range items {
		record := core.NewRecord(collection)
		record.Load(item)
		if err := app.Save(record); err != nil {
			return err
		}
	}
	return nil
}

func addAccounts(app core.App, path string) error {
	users, err := app.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for number := range accounts {
		user := core.NewRecord(users)
		user.SetEmail(fmt.Sprintf("user%d@bench.invalid", number))
		user.SetPassword(security.RandomString(20))
		user.SetVerified(true)
		if err := app.Save(user); err != nil {
			return err
		}
		token, err := user.NewAuthToken()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(file, token); err != nil {
			return err
		}
	}
	return file.Close()
}
