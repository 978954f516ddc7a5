mock_provider "google" {
  mock_data "google_storage_project_service_account" {
    defaults = { email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

variables {
  project      = "acme-fleets-dev"
  location     = "europe-west1"
  prefix       = "acme-fleets-dev-modelfleet"
  notice_topic = "projects/acme-fleets-dev/topics/release-notices"
  promoters    = { airflow = "serviceAccount:airflow@example.iam.gserviceaccount.com" }
  workers      = { worker = "serviceAccount:worker@example.iam.gserviceaccount.com" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "buckets_are_closed" {
  command = plan

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced"])
    error_message = "No bucket can be opened to the world, nor an object of it."
  }

  assert {
    condition     = !anytrue([for bucket in google_storage_bucket.this : bucket.force_destroy])
    error_message = "A bucket with objects in it is not destroyed unless asked for."
  }
}

run "home_can_be_had_back" {
  command = plan

  assert {
    condition     = google_storage_bucket.this["home"].versioning[0].enabled && !contains([for rule in google_storage_bucket.this["home"].lifecycle_rule : one(rule.condition).age if one(rule.action).type == "Delete"], 30)
    error_message = "What is deleted or overwritten stays for a while, and what is live is never deleted by age."
  }

  assert {
    condition     = contains([for rule in google_storage_bucket.this["staging"].lifecycle_rule : one(rule.condition).age if one(rule.action).type == "Delete"], 30)
    error_message = "What jobs staged goes after a month."
  }
}

run "releases_are_only_added" {
  command = plan

  assert {
    condition = alltrue([
      for grant in google_storage_bucket_iam_member.home_writer :
      one(grant.condition).expression == "resource.name.extract('/objects/fleets/{fleet}/releases/') == ''"
    ])
    error_message = "Whoever may overwrite in the home bucket may not overwrite a release."
  }

  assert {
    condition = [
      for key, grant in google_storage_bucket_iam_member.grant : grant.member
      if endswith(grant.bucket, "-home") && grant.role == "roles/storage.objectCreator"
    ] == ["serviceAccount:airflow@example.iam.gserviceaccount.com"]
    error_message = "Only the promoter adds releases."
  }

  assert {
    condition = !anytrue([
      for grant in google_storage_bucket_iam_member.grant : endswith(grant.bucket, "-home") && grant.role == "roles/storage.objectUser"
    ])
    error_message = "Nobody writes to the home bucket without the condition."
  }
}

run "new_releases_are_told" {
  command = plan

  assert {
    condition     = google_storage_notification.home.event_types == toset(["OBJECT_FINALIZE"]) && google_storage_notification.home.object_name_prefix == "fleets/"
    error_message = "New objects of the fleets are told of."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.notifier.member == "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    error_message = "Cloud Storage's own account tells."
  }
}

run "staging_outlives_jobs" {
  command = plan

  variables {
    staging_days = 3
  }

  expect_failures = [var.staging_days]
}

run "mistakes_can_be_mended" {
  command = plan

  variables {
    old_version_days = 1
  }

  expect_failures = [var.old_version_days]
}

run "no_prefix" {
  command = plan

  variables {
    prefix = "Acme_"
  }

  expect_failures = [var.prefix]
}
