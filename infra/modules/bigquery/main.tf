resource "google_bigquery_dataset" "this" {
  project                    = var.project
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "Predictions and evaluations of the fleets"
  delete_contents_on_destroy = false
}

resource "google_bigquery_table" "predictions" {
  for_each = var.fleets

  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${each.key}_predictions"
  description         = "Answers of fleet ${each.key}. Delivery is at least once: keep the first row per request_id"
  deletion_protection = var.deletion_protection
  clustering          = ["entity"]
  schema              = file("${path.module}/columns/predictions_${each.value == "regression" ? "number" : "label"}.json")

  time_partitioning {
    type          = "DAY"
    field         = "processed_time"
    expiration_ms = var.keep_days == null ? null : var.keep_days * 86400000
  }
}

resource "google_bigquery_table" "evaluation" {
  for_each = var.fleets

  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${each.key}_evaluation"
  description         = "What the gate of fleet ${each.key} knew: one row per entity and run"
  deletion_protection = var.deletion_protection
  clustering          = ["run_id", "entity"]
  schema              = file("${path.module}/columns/evaluation_${each.value}.json")

  time_partitioning {
    type  = "DAY"
    field = "evaluated_at"
  }
}

resource "google_bigquery_dataset_iam_member" "writer" {
  for_each = var.writers

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.readers

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}
