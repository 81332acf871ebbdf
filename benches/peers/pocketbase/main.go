// The bench's items on PocketBase: `server prepare DIRECTORY` and `server serve --http ADDRESS`.
package main

import (
	"fmt"
	"log"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"
)

func main() {
	app := pocketbase.NewWithConfig(pocketbase.Config{HideStartBanner: true})
	app.RootCmd.AddCommand(&cobra.Command{
		Use:   "prepare DIRECTORY",
		Short: "makes the collection, the items and the accounts",
		Args:  cobra.ExactArgs(1),
		Run: func(_ *cobra.Command, arguments []string) {
			// PocketBase does not look at what a command returns.
			if err := prepare(app, arguments[0]); err != nil {
				log.Fatal(err)
			}
		},
	})
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.InstallerFunc = nil
		if err := e.Next(); err != nil {
			return err
		}
		fmt.Println("ready", e.Server.Addr)
		return nil
	})
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}
