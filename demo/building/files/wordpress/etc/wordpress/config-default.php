<?php
// Debian's wp-config.php reads this file: the settings are those of the wordpress image.
function setting(string $name, string $default): string
{
    $value = getenv("WORDPRESS_$name");
    return $value === false ? $default : $value;
}

define('DB_HOST', setting('DB_HOST', 'mysql'));
define('DB_USER', setting('DB_USER', 'root'));
define('DB_PASSWORD', setting('DB_PASSWORD', ''));
define('DB_NAME', setting('DB_NAME', 'wordpress'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
define('WP_CONTENT_DIR', '/usr/share/wordpress/wp-content');
$table_prefix = setting('TABLE_PREFIX', 'wp_');
// Keys and salts, made anew for every container.
require '/etc/wordpress/keys.php';
