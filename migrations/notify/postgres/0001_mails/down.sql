DROP TABLE notify_mails;
