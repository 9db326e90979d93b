module agola-example-kaniko

go 1.12
