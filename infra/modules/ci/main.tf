locals {
  issuer = "https://token.actions.githubusercontent.com"
  pool   = google_iam_workload_identity_pool.this.name

  # A pull request may look and nothing else: whoever can open one can run what he likes with this account
  planner_roles = ["roles/browser", "roles/iam.securityReviewer", "roles/viewer"]
}

# CI signs in with the token that GitHub gives to a run. There is no key to leak.
resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project
  workload_identity_pool_id = "${var.prefix}-ci"
  display_name              = "modelfleet CI"
  description               = "Workflows of ${var.repository}"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"
  attribute_condition                = "assertion.repository == '${var.repository}' && assertion.repository_owner_id == '${var.owner_id}'"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = local.issuer
  }
}

resource "google_service_account" "planner" {
  project      = var.project
  account_id   = "${var.prefix}-planner"
  display_name = "modelfleet planner"
  description  = "CI on a pull request: terraform plan"
}

resource "google_service_account" "deployer" {
  project      = var.project
  account_id   = "${var.prefix}-deployer"
  display_name = "modelfleet deployer"
  description  = "CI in the environment ${var.deploy_environment}: pushes images, templates and DAGs"
}

resource "google_service_account_iam_member" "planner" {
  service_account_id = google_service_account.planner.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${local.pool}/attribute.repository/${var.repository}"
}

# The whole subject: only a run that has passed the environment's rules has it
resource "google_service_account_iam_member" "deployer" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${local.pool}/subject/repo:${var.repository}:environment:${var.deploy_environment}"
}

resource "google_project_iam_member" "planner" {
  for_each = toset(local.planner_roles)

  project = var.project
  role    = each.value
  member  = google_service_account.planner.member
}

resource "google_storage_bucket_iam_member" "planner_state" {
  bucket = var.state_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.planner.member
}
