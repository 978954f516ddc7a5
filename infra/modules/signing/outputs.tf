output "signing_key" {
  description = "What MODELFLEET_SIGNING_KEY is for whoever publishes releases."
  value       = "gcpkms://${local.versions}/${var.signs}"
}

output "public_keys" {
  description = "What MODELFLEET_PUBLIC_KEYS is for whoever reads the ledger."
  value       = join(",", [for version in var.believed : "gcpkms://${local.versions}/${version}"])
}
