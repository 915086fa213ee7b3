{# The codes of ISO 4217: currencies in use, and those that were withdrawn since 2000. #}
{% macro known_currencies() -%}
    {{ return(
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
        "CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON "
        "RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
        "UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XDR XOF XPF YER ZAR ZMW ZWG "
        "AFA ATS AZM BEF BYR CSD CUC CYP DEM EEK ESP FIM FRF GHC GRD HRK IEP ITL LTL LUF LVL MGF MRO MTL MZM NLG PTE ROL "
        "SDD SIT SKK SLL SRG STD TMM TRL VEB VEF ZMK ZWD ZWL".split()
    ) }}
{%- endmacro %}

{# A rule of `held`: a code that is there and is none of ISO 4217. #}
{% macro unknown_currency(column='currency') -%}
    {{ return([
        'unknown ' ~ column.replace('_', ' '), column ~ " not in ('" ~ known_currencies() | join("', '") ~ "')", column
    ]) }}
{%- endmacro %}
