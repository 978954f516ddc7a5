mock_provider "google" {}

variables {
  bucket       = "acme-fleets-dev-modelfleet-templates"
  revision     = "0.1.0"
  worker_image = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  launcher     = "modelfleet-launcher@acme-fleets-dev.iam.gserviceaccount.com"
  subnetwork   = "regions/europe-west1/subnetworks/modelfleet-europe-west1"
  staging      = "gs://acme-fleets-dev-modelfleet-staging/dataflow"
  images = {
    prepare = "registry.example/template-prepare@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    train   = "registry.example/template-train@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    score   = "registry.example/template-score@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    serve   = "registry.example/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "templates" {
  command = plan

  assert {
    condition     = output.templates["serve"] == "gs://acme-fleets-dev-modelfleet-templates/modelfleet/0.1.0/serve.json"
    error_message = "One template per job and revision."
  }

  assert {
    condition     = { for job, object in google_storage_bucket_object.template : job => jsondecode(object.content).metadata.streaming } == { prepare = false, train = false, score = false, serve = true }
    error_message = "Only serving streams."
  }

  assert {
    condition     = alltrue([for object in google_storage_bucket_object.template : jsondecode(object.content).defaultEnvironment.ipConfiguration == "WORKER_IP_PRIVATE"])
    error_message = "Workers have no public address."
  }
}

run "no_such_job" {
  command = plan

  variables {
    images = { backfill = "registry.example/template-backfill@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }

  expect_failures = [var.images]
}

run "a_tag_is_no_digest" {
  command = plan

  variables {
    images = { train = "registry.example/template-train:0.1.0" }
  }

  expect_failures = [var.images]
}

run "a_tag_is_no_digest_for_workers_either" {
  command = plan

  variables {
    worker_image = "registry.example/worker:0.1.0"
  }

  expect_failures = [var.worker_image]
}

run "no_revision" {
  command = plan

  variables {
    revision = "../0.1.0"
  }

  expect_failures = [var.revision]
}

run "no_staging" {
  command = plan

  variables {
    staging = "gs://bucket"
  }

  expect_failures = [var.staging]
}

run "no_workers" {
  command = plan

  variables {
    max_workers = 0
  }

  expect_failures = [var.max_workers]
}
