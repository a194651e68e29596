output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.archive.arn
}

output "archive_url" {
  description = "What archive.url of the policies has to be."
  value       = var.prefix == "" ? "s3://${var.bucket}" : "s3://${var.bucket}/${var.prefix}"
}

output "policy_arns" {
  description = "ARNs of the IAM policies by what they are for: exporter, retriever, collector."
  value       = { for name, policy in aws_iam_policy.role : name => policy.arn }
}

output "policy_documents" {
  description = "The same as JSON, for roles that are kept elsewhere."
  value       = local.documents
}
