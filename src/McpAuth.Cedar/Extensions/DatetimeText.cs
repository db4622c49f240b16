using System.Globalization;

namespace McpAuth.Cedar.Extensions;

/// <summary>
/// Points in time as text: <c>YYYY-MM-DD</c>, or that and <c>Thh:mm:ss</c>, perhaps <c>.SSS</c>, and <c>Z</c> or an offset <c>±hhmm</c>. Years 0000 to
/// 9999 of the Gregorian calendar, no leap seconds. Arithmetic reaches beyond these years; such a time has no text.
/// </summary>
internal static class DatetimeText
{
    public const long Day = 86_400_000;

    private const long Hour = 3_600_000, Minute = 60_000, Second = 1_000;

    private const long DaysBefore1970 = 719_528; // since 0000-01-01
    private const long DaysIn400Years = 146_097;

    public static bool TryRead(ReadOnlySpan<char> text, out long milliseconds)
    {
        milliseconds = 0;
        if (text.Length < 10 || text[4] != '-' || text[7] != '-' ||
            !Number(text[..4], out int year) || !Number(text[5..7], out int month) || !Number(text[8..10], out int day)) return false;
        if (month is < 1 or > 12 || day < 1 || day > DaysIn(year, month)) return false;
        milliseconds = Days(year, month, day) * Day;
        if (text.Length == 10) return true;

        text = text[10..];
        if (text.Length < 10 || text[0] != 'T' || text[3] != ':' || text[6] != ':' ||
            !Number(text[1..3], out int hour) || !Number(text[4..6], out int minute) || !Number(text[7..9], out int second)) return false;
        if (hour > 23 || minute > 59 || second > 59) return false;
        milliseconds += (hour * Hour) + (minute * Minute) + (second * Second);

        text = text[9..];
        if (text[0] == '.')
        {
            if (text.Length < 5 || !Number(text[1..4], out int fraction)) return false;
            milliseconds += fraction;
            text = text[4..];
        }
        if (text is ['Z']) return true;
        if (text.Length != 5 || text[0] is not ('+' or '-') || !Number(text[1..3], out hour) || !Number(text[3..5], out minute)) return false;
        if (hour > 23 || minute > 59) return false;
        long offset = (hour * Hour) + (minute * Minute);
        milliseconds -= text[0] == '+' ? offset : -offset;
        return true;
    }

    /// <summary>The shortest text in UTC; null when the year has not four digits.</summary>
    public static string? Of(long milliseconds)
    {
        long days = FloorDivide(milliseconds, Day);
        long time = milliseconds - (days * Day);
        if (Date(days) is not (var year and >= 0 and <= 9999, var month, var day)) return null;
        string date = string.Create(CultureInfo.InvariantCulture, $"{year:0000}-{month:00}-{day:00}");
        if (time == 0) return date;
        string fraction = time % Second == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{time % Second:000}");
        return string.Create(CultureInfo.InvariantCulture,
            $"{date}T{time / Hour:00}:{time % Hour / Minute:00}:{time % Minute / Second:00}{fraction}Z");
    }

    public static long FloorDivide(long value, long by) => (value / by) - (value % by < 0 ? 1 : 0);

    private static bool Number(ReadOnlySpan<char> digits, out int value)
    {
        value = 0;
        foreach (char digit in digits)
        {
            if (!char.IsAsciiDigit(digit)) return false;
            value = (value * 10) + (digit - '0');
        }
        return true;
    }

    private static bool IsLeap(long year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    private static int DaysIn(int year, int month) => month switch
    {
        2 => IsLeap(year) ? 29 : 28,
        4 or 6 or 9 or 11 => 30,
        _ => 31,
    };

    /// <summary>Days from 1970-01-01 to this date.</summary>
    private static long Days(int year, int month, int day)
    {
        long days = year * 365L;
        if (year > 0) days += ((year - 1) / 4) - ((year - 1) / 100) + ((year - 1) / 400) + 1; // the leap days before this year; year 0 has one
        for (int before = 1; before < month; before++) days += DaysIn(year, before);
        return days + day - 1 - DaysBefore1970;
    }

    /// <summary>The date so many days after 1970-01-01; a year of -1 for any that is out of range.</summary>
    private static (int Year, int Month, int Day) Date(long days)
    {
        days += DaysBefore1970;
        if (days < 0 || days >= DaysIn400Years * 25) return (-1, 0, 0);
        int year = (int)(days * 400 / DaysIn400Years); // at most one too many, or too few
        while (Days(year, 1, 1) + DaysBefore1970 > days) year--;
        while (Days(year + 1, 1, 1) + DaysBefore1970 <= days) year++;
        int day = (int)(days - Days(year, 1, 1) - DaysBefore1970), month = 1;
        for (; day >= DaysIn(year, month); month++) day -= DaysIn(year, month);
        return (year, month, day + 1);
    }
}
