-- depends_on: {{ ref('int_user_hours') }}, {{ ref('int_order_hours') }}, {{ ref('sessions') }}, {{ ref('content_hourly') }}, {{ ref('learning_hourly') }}
-- depends_on: {{ ref('rooms_hourly') }}, {{ ref('shop_hourly') }}, {{ ref('sales_hourly') }}, {{ ref('marketplace_hourly') }}, {{ ref('system_hourly') }}
{{ config(grain='hour', key=['hour', 'measure', 'segment']) }}

with touched as (
    select hour from {{ source('ops', 'touched') }}
)

{{ measured_hours() }}
