DROP TABLE notify_webhook_attempts;
DROP TABLE notify_webhook_deliveries;
DROP TABLE notify_webhook_endpoints;
