/* How a part of the extension becomes a module: what is in METHODS, and no use for the interpreter's lock. */

#ifndef CONVCLI_MODULE_H
#define CONVCLI_MODULE_H

#ifdef Py_GIL_DISABLED
#define WITHOUT_LOCK {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define WITHOUT_LOCK
#endif

/* The module NAME; further arguments are slots of its own, each with a comma behind it. */
#define MODULE(NAME, ...) \
    PyMODINIT_FUNC PyInit_##NAME(void) \
    { \
        static PyModuleDef_Slot slots[] = {__VA_ARGS__ WITHOUT_LOCK{0, NULL}}; \
        static PyModuleDef definition = { \
            PyModuleDef_HEAD_INIT, .m_name = #NAME, .m_methods = METHODS, .m_slots = slots}; \
        return PyModuleDef_Init(&definition); \
    }

#endif
