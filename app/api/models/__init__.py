"""What goes in and out of `/api/v1`, by subject. Energy is integer Wh, prices integer micro-euro per kWh, money integer
micro-euro, times UTC.
"""

from app.api.models.accounts import *  # noqa: F403
from app.api.models.base import *  # noqa: F403
from app.api.models.development import *  # noqa: F403
from app.api.models.guardian import *  # noqa: F403
from app.api.models.metering import *  # noqa: F403
from app.api.models.orders import *  # noqa: F403
from app.api.models.replacements import *  # noqa: F403
from app.api.models.sessions import *  # noqa: F403
from app.api.models.settlement import *  # noqa: F403
from app.api.models.status import *  # noqa: F403
from app.api.models.surveillance import *  # noqa: F403
