"""Settings of Scrapy: request headers and rates, limits, and disabled features."""

from __future__ import annotations

from typing import Any

from outliers_bench.apps.collect.options import CRAWLER_NAME, Collect
from outliers_bench.version import __version__


def scrapy_settings(options: Collect) -> dict[str, Any]:
    """Return the settings that differ from Scrapy's defaults.

    Parameters
    ----------
    options : Collect
        The user's options.
    """
    contact = "" if options.contact is None else f" (+{options.contact})"
    return {
        "USER_AGENT": f"{CRAWLER_NAME}/{__version__}{contact}",
        "ROBOTSTXT_OBEY": options.robots,
        "ROBOTSTXT_USER_AGENT": CRAWLER_NAME,
        # Without AVIF and SVG, which a server may send in response to */* alone.
        "DEFAULT_REQUEST_HEADERS": {
            "Accept": "image/jpeg,image/png,image/webp,image/gif;q=0.9,text/html;q=0.8,*/*;q=0.1"
        },
        "CONCURRENT_REQUESTS": options.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": options.per_host,
        "DOWNLOAD_DELAY": options.delay,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": options.delay,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": float(options.per_host),
        "DOWNLOAD_TIMEOUT": options.timeout,
        "DOWNLOAD_MAXSIZE": max(1, int(options.max_mb * 1e6)),  # 0 is no limit
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "RETRY_TIMES": options.retries,
        "REDIRECT_MAX_TIMES": 10,
        "METAREFRESH_ENABLED": False,
        "HTTPERROR_ALLOW_ALL": True,  # the spiders record every response
        # The addresses that a proxy connects to cannot be checked.
        "HTTPPROXY_ENABLED": options.allow_private,
        "DOWNLOAD_HANDLERS": dict.fromkeys(("data", "file", "ftp", "s3")),
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "outliers_bench.apps.collect.politeness.StrictRobotsMiddleware": 100,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "outliers_bench.apps.collect.politeness.RetryAfterMiddleware": 550,
        },
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "MEMUSAGE_ENABLED": False,
        "LOG_ENABLED": False,
    }
