mock_provider "google" {}

variables {
  project = "acme-fleets-dev"
  region  = "europe-west1"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "an_older_release_can_run_again" {
  command = plan

  assert {
    condition     = [for policy in google_artifact_registry_repository.this.cleanup_policies : policy.most_recent_versions[0].keep_count if policy.action == "KEEP"] == [10]
    error_message = "The last ten of each image are kept."
  }

  assert {
    condition     = alltrue([for policy in google_artifact_registry_repository.this.cleanup_policies : one(policy.condition).tag_state == "UNTAGGED" if policy.action == "DELETE"])
    error_message = "What has a tag is never deleted by age."
  }

  assert {
    condition     = output.prefix == "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet"
    error_message = "The prefix of image names."
  }
}

run "our_packages_come_first" {
  command = plan

  assert {
    condition     = { for policy in google_artifact_registry_repository.python.virtual_repository_config[0].upstream_policies : policy.id => policy.priority } == { ours = 100, pypi = 50 }
    error_message = "A package of ours is never taken from PyPI."
  }

  assert {
    condition     = output.package_index == "https://europe-west1-python.pkg.dev/acme-fleets-dev/modelfleet-python/simple/"
    error_message = "pip installs from both."
  }
}

run "nobody_is_granted_anything_unasked" {
  command = plan

  assert {
    condition     = length(google_artifact_registry_repository_iam_member.reader) + length(google_artifact_registry_repository_iam_member.installer) + length(google_artifact_registry_repository_iam_member.writer) == 0
    error_message = "Grants are for those who are named."
  }
}

run "one_version_is_too_few" {
  command = plan

  variables {
    keep_versions = 1
  }

  expect_failures = [var.keep_versions]
}

run "no_days" {
  command = plan

  variables {
    untagged_days = 0
  }

  expect_failures = [var.untagged_days]
}

run "no_name" {
  command = plan

  variables {
    name = "Model Fleet"
  }

  expect_failures = [var.name]
}
