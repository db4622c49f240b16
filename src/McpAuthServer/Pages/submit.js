// The form on the page goes on by itself.
document.forms[0].submit();
