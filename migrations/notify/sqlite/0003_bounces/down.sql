DROP TABLE notify_bounces;
